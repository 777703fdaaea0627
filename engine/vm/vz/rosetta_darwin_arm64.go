package vz

import (
	"fmt"

	"github.com/Code-Hex/vz/v3"

	"github.com/skerry-app/skerry/engine/vm"
)

// hostRosetta asks the framework and the system each time: Rosetta can be
// installed while this program runs.
func hostRosetta() error {
	major, err := hostMacOS()
	if err != nil {
		return err
	}
	return checkRosetta(availability(vz.LinuxRosettaDirectoryShareAvailability()), major)
}

// askForRosetta returns when the user has refused, or it is there.
func askForRosetta() error { return vz.LinuxRosettaDirectoryShareInstallRosetta() }

// newRosetta returns a device with Apple's translator (VZLinuxRosettaDirectoryShare).
// A cache is a unix socket and not an abstract one: containers get it bound.
func newRosetta(cache string) (vz.DirectorySharingDeviceConfiguration, error) {
	share, err := vz.NewLinuxRosettaDirectoryShare()
	if err != nil {
		return nil, fmt.Errorf("share Rosetta: %w", explain(err))
	}
	if cache != "" {
		// On macOS 13 setting it would silently do nothing; Rosetta is refused
		// there (checkRosetta).
		options, err := vz.NewLinuxRosettaUnixSocketCachingOptions(cache)
		if err != nil {
			return nil, fmt.Errorf("share Rosetta with its cache: %w", explain(err))
		}
		share.SetOptions(options)
	}
	device, err := vz.NewVirtioFileSystemDeviceConfiguration(vm.RosettaTag)
	if err != nil {
		return nil, fmt.Errorf("share Rosetta: %w", explain(err))
	}
	device.SetDirectoryShare(share)
	return device, nil
}
