//go:build linux

package qemu

import (
	"runtime"
	"testing"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/engine/vm/vmtest"
)

func TestConformance(t *testing.T) {
	vmtest.Run(t, vmtest.Subject{
		Driver: func(t *testing.T) vm.Driver { return newDriver(t, Options{}) },
		Arch:   runtime.GOARCH,
		Kernel: vmtest.Kernel(t, "SKERRY_TEST_KERNEL"),
		Kill:   kill,
		Nests:  newDriver(t, Options{}).checkNested() == nil,
	})
}

// newDriver makes a driver and skips the test where QEMU is missing.
func newDriver(t *testing.T, o Options) *Driver {
	t.Helper()
	d, err := New(o)
	if err != nil {
		t.Skip(err)
	}
	return d
}

// kill ends a machine's QEMU as somebody else would.
func kill(t *testing.T, m vm.Machine) {
	t.Helper()
	r := m.(*Machine).run
	r.proc.kill()
}
