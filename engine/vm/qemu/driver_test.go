//go:build linux

package qemu

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/engine/vm/vmtest"
)

func TestNewFindsQEMU(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for arch, want := range map[string]string{
		"amd64":   "qemu-system-x86)",
		"arm64":   "qemu-system-arm)",
		"riscv64": "not supported",
	} {
		if _, err := New(Options{Arch: arch}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error that says %q", arch, err, want)
		}
	}
	if _, err := New(Options{Binary: "/bin/sh", Accel: "hvf"}); err == nil || !strings.Contains(err.Error(), "hvf") {
		t.Errorf("unknown accelerator: %v", err)
	}
}

func TestForeignArchitectureHasNoKVM(t *testing.T) {
	foreign := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	d, err := New(Options{Binary: "/bin/sh", Arch: foreign})
	if err != nil {
		t.Fatal(err)
	}
	if d.Name() != "qemu (tcg)" {
		t.Errorf("%s guests run on %s", foreign, d.Name())
	}
	if f := d.checkAccelerator(); !f.OK {
		t.Errorf("TCG is what there is: %+v", f)
	}
}

// script makes a program that stands in for QEMU, up to the point where it runs
// the real one.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qemu")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// bootable is a configuration that boots the conformance guest.
func bootable(t *testing.T) vm.Config {
	t.Helper()
	return vm.Config{
		Name:    t.Name(),
		Kernel:  vmtest.Kernel(t, "SKERRY_TEST_KERNEL"),
		Cmdline: []string{"root=/dev/vda", "ro", "init=/init"},
		CPUs:    1,
		Memory:  128 * mebibyte,
		Disks:   []vm.Disk{{Path: vmtest.Image(t, runtime.GOARCH), ReadOnly: true, Serial: "root"}},
	}
}

// unbootable is a configuration that only passes the checks.
func unbootable(t *testing.T) vm.Config {
	t.Helper()
	return vm.Config{Name: t.Name(), Kernel: fakeKernel(t), CPUs: 1, Memory: minMemory}
}

func newMachine(t *testing.T, d *Driver, c vm.Config) *Machine {
	t.Helper()
	m, err := d.newMachine(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m
}

// TestStartFails wants QEMU's own words in the error.
func TestStartFails(t *testing.T) {
	for name, test := range map[string]struct{ script, want string }{
		"complaint":  {"echo no such luck >&2; exit 1", "no such luck"},
		"silence":    {"exit 3", "exit status 3"},
		"no QMP":     {"echo hello >&3; exec sleep 60", "control connection"},
		"wrong file": {"exec /nonexistent/qemu", "nonexistent"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDriver(t, Options{Binary: script(t, test.script), Accel: accelTCG, Arch: runtime.GOARCH})
			m := newMachine(t, d, unbootable(t))
			err := m.Start(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("start: %v, want %q in it", err, test.want)
			}
			select {
			case <-m.Done():
			default:
				t.Error("Done is not closed")
			}
			if m.Err() == nil {
				t.Error("Err is nil after a failed start")
			}
		})
	}
}

// TestConcessions starts a machine on a QEMU that has neither KVM nor a sandbox,
// which it says only when asked for them.
func TestConcessions(t *testing.T) {
	c := bootable(t)
	real := newDriver(t, Options{})
	d := newDriver(t, Options{Binary: script(t, fmt.Sprintf(`case "$*" in
*"-accel kvm"*) echo "qemu: failed to initialize kvm: No such device" >&2; exit 1;;
*"-sandbox on"*) echo "qemu: -sandbox on: seccomp support is disabled" >&2; exit 1;;
esac
exec %s "$@"`, real.binary))})
	d.accel = accelKVM // as if the probe had been too optimistic
	m := newMachine(t, d, c)
	l, err := m.Listen(1024)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	go func() { <-m.Done(); l.Close() }()
	conn, err := l.Accept() // a listener from before the first attempt
	if err != nil {
		t.Fatal(err, m.Err())
	}
	conn.Close()
	if d.Name() != "qemu (tcg)" || d.sandboxed() {
		t.Errorf("the driver is %s, sandboxed %v", d.Name(), d.sandboxed())
	}
	if f := d.checkAccelerator(); runtime.GOARCH == d.board.arch && (f.OK || !strings.Contains(f.Detail, "No such device")) {
		t.Errorf("finding %+v", f)
	}
}

// TestForcedKVM wants no fallback where KVM was asked for.
func TestForcedKVM(t *testing.T) {
	d := newDriver(t, Options{Binary: script(t, "echo no kvm here >&2; exit 1"), Accel: accelKVM, Arch: runtime.GOARCH})
	m := newMachine(t, d, unbootable(t))
	if err := m.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "no kvm here") {
		t.Errorf("start: %v", err)
	}
}

// TestUnexpectedStop has QEMU stop the virtual CPUs of its own accord, as it
// does when they cannot go on.
func TestUnexpectedStop(t *testing.T) {
	m := newMachine(t, newDriver(t, Options{}), bootable(t))
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.run.qmp.execute(t.Context(), "stop", nil)
	<-m.Done()
	if err := m.Err(); err == nil || !strings.Contains(err.Error(), "stopped the virtual CPUs") {
		t.Errorf("Err: %v", err)
	}
}

// TestRefusedCommand wants QEMU's description of what is wrong.
func TestRefusedCommand(t *testing.T) {
	m := newMachine(t, newDriver(t, Options{}), bootable(t))
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.run.qmp.execute(t.Context(), "no-such-command", nil); err == nil || !strings.Contains(err.Error(), "has not been found") {
		t.Errorf("unknown command: %v", err)
	}
	var status struct{ Status string }
	if err := m.run.qmp.execute(t.Context(), "query-status", &status); err != nil || status.Status != "running" {
		t.Errorf("status %q, %v", status.Status, err)
	}
}
