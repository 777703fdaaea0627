package vz

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// availability is LinuxRosettaAvailability (vz, shared_directory_arm64.go).
type availability int

const (
	rosettaNotSupported availability = iota
	rosettaNotInstalled
	rosettaInstalled
)

// installRosetta is what installs Rosetta, for the Mac's own programs as well.
const installRosetta = "softwareupdate --install-rosetta --agree-to-license"

// errNotInstalled is what installing Rosetta mends.
var errNotInstalled = errors.New(`there is no Rosetta yet: install it from Skerry's menu, or with "` + installRosetta + `", and try again`)

// Rosetta of macOS 13 to 15 ends programs with "unhandled auxillary vector type
// 29" on newer kernels (AT_HWCAP3), and does not know the vDSO that Linux has
// since 6.11; that of macOS 26 does. Between the two is no other macOS: what is
// told to be 16 is 26, to programs that were built before it had that name.
const rosettaMinMacOS = 16

// checkRosetta says what keeps machines from having Rosetta, and what to do
// about it; nil if nothing.
func checkRosetta(a availability, macOS int) error {
	switch {
	case macOS < rosettaMinMacOS:
		return fmt.Errorf("the Rosetta of macOS %d cannot run on the kernel of Skerry's machines: update to macOS 26 or newer, or use an image for arm64", macOS)
	case a == rosettaNotInstalled:
		return errNotInstalled
	case a == rosettaInstalled:
		return nil
	}
	return fmt.Errorf("macOS %d has no Rosetta for Linux on this Mac: use an image for arm64", macOS)
}

// majorVersion is the first number of a version such as "15.7.3"
// (sysctl kern.osproductversion).
func majorVersion(version string) (int, error) {
	first, _, _ := strings.Cut(version, ".")
	major, err := strconv.Atoi(first)
	if err != nil {
		return 0, fmt.Errorf("the version of macOS is %q, which has no number", version)
	}
	return major, nil
}
