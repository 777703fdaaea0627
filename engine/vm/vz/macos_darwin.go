package vz

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// hostMacOS is the first number of this system's version.
func hostMacOS() (int, error) {
	version, err := unix.Sysctl("kern.osproductversion")
	if err != nil {
		return 0, fmt.Errorf("ask for the version of macOS: %w", err)
	}
	return majorVersion(version)
}
