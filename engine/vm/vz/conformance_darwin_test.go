package vz

import (
	"runtime"
	"testing"

	"github.com/Code-Hex/vz/v3"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/engine/vm/vmtest"
)

// TestConformance needs a Mac, a kernel and the entitlement:
// go test -exec packaging/macos/signed.sh.
func TestConformance(t *testing.T) {
	vmtest.Run(t, vmtest.Subject{
		Driver: func(t *testing.T) vm.Driver {
			d, err := New(Options{})
			if err != nil {
				t.Fatal(err)
			}
			return d
		},
		Arch:   runtime.GOARCH,
		Kernel: vmtest.Kernel(t, "SKERRY_TEST_KERNEL"),
		Nests:  vz.IsNestedVirtualizationSupported(),
		Saves:  canSave(),
		State:  stateName,
		// vz v3.7.1 makes three channels for each machine, each with a goroutine,
		// and closes none.
		Keeps: 3,
		// And two for each network block device.
		KeepsNBD:  2,
		Collected: true,
	})
}

// canSave tells whether this Mac saves machines: with Apple silicon and macOS 14.
// What the framework says of those of the test, with their network interface on a
// socket, is one of the things to find out; a refusal shows there.
func canSave() bool {
	macOS, err := hostMacOS()
	return err == nil && checkSavingSupport(macOS) == nil && runtime.GOARCH == "arm64"
}
