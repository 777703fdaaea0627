//go:build linux

package qemu

import (
	"testing"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/engine/vm/vmtest"
)

// TestConformanceForeign boots the kernel that goes with the Mac, emulated.
func TestConformanceForeign(t *testing.T) {
	vmtest.Run(t, vmtest.Subject{
		Driver: func(t *testing.T) vm.Driver { return newDriver(t, Options{Arch: "arm64"}) },
		Arch:   "arm64",
		Kernel: vmtest.Kernel(t, "SKERRY_TEST_KERNEL_ARM64"),
		Kill:   kill,
		Nests:  true,
	})
}
