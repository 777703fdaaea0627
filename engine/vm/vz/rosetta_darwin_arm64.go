package vz

import (
	"fmt"

	"github.com/Code-Hex/vz/v3"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/engine/vm"
)

// hostRosetta asks the framework and the system each time: Rosetta can be
// installed while this program runs.
func hostRosetta() error {
	version, err := unix.Sysctl("kern.osproductversion")
	if err != nil {
		return fmt.Errorf("ask for the version of macOS: %w", err)
	}
	major, err := majorVersion(version)
	if err != nil {
		return err
	}
	return checkRosetta(availability(vz.LinuxRosettaDirectoryShareAvailability()), major)
}

// newRosetta returns a device with Apple's translator (VZLinuxRosettaDirectoryShare).
func newRosetta() (vz.DirectorySharingDeviceConfiguration, error) {
	share, err := vz.NewLinuxRosettaDirectoryShare()
	if err != nil {
		return nil, fmt.Errorf("share Rosetta: %w", explain(err))
	}
	device, err := vz.NewVirtioFileSystemDeviceConfiguration(vm.RosettaTag)
	if err != nil {
		return nil, fmt.Errorf("share Rosetta: %w", explain(err))
	}
	device.SetDirectoryShare(share)
	return device, nil
}
