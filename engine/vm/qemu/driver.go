//go:build linux

// Package qemu runs virtual machines on QEMU: with KVM where a guest really
// runs on it, otherwise with QEMU's own translator, TCG.
//
// Each machine is one QEMU process. Everything it talks to is a descriptor it
// inherits (QMP, console, disks, network, vsock), so that there are no socket
// files to leave behind and no races to connect; it dies with this process.
package qemu

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"runtime"
	"sync"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/engine/vm/kvm"
)

// Accelerators, as QEMU calls them.
const (
	accelKVM = "kvm"
	accelTCG = "tcg"
)

// Options say how a Driver finds and runs QEMU. The zero value is right for
// guests of the host's own architecture.
type Options struct {
	// Binary is QEMU's path or its name in PATH; by default the system
	// emulator for Arch.
	Binary string
	// Arch is the guest's architecture, "amd64" or "arm64"; by default the
	// host's. A foreign one runs on TCG.
	Arch string
	// Accel is "kvm", "tcg" or empty for KVM where it works. KVM that was asked
	// for is used without a look at whether it works.
	Accel string
	// Log receives what is worth knowing and no error; nil discards it.
	Log *slog.Logger
}

// Driver makes machines that run on QEMU. It implements vm.Driver.
type Driver struct {
	binary   string
	board    board
	firmware string // path of a replacement for the default firmware, or empty
	clock    []string
	log      *slog.Logger

	forced bool // the accelerator was asked for

	mu        sync.Mutex
	accel     string // empty until it has been looked for
	reason    string // why it is that one
	noSandbox bool   // QEMU was built without
}

// New finds QEMU. Its absence is an error that names the package to install.
func New(o Options) (*Driver, error) {
	arch := o.Arch
	if arch == "" {
		arch = runtime.GOARCH
	}
	board, ok := boards[arch]
	if !ok {
		return nil, fmt.Errorf("qemu: machines of architecture %q are not supported: use amd64 or arm64", arch)
	}
	name := o.Binary
	if name == "" {
		name = board.binary
	}
	binary, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("qemu: %w: install it (Debian: apt install %s)", err, board.debian)
	}
	d := &Driver{binary: binary, board: board, log: o.Log}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if board.firmware != "" {
		d.firmware = findFirmware(binary, board.firmware)
	}
	if arch == "amd64" && runtime.GOARCH == "amd64" {
		d.clock = tscParameters("/proc/cpuinfo")
	}
	switch o.Accel {
	case "":
	case accelTCG, accelKVM:
		d.accel, d.forced, d.reason = o.Accel, true, "asked for"
	default:
		return nil, fmt.Errorf("qemu: unknown accelerator %q: use kvm or tcg", o.Accel)
	}
	return d, nil
}

// Name implements vm.Driver.
func (d *Driver) Name() string {
	accel, _ := d.accelerator()
	return "qemu (" + accel + ")"
}

// Parallel implements vm.Driver: emulated virtual CPUs take turns.
func (d *Driver) Parallel() bool {
	accel, _ := d.accelerator()
	return accel != accelTCG
}

// accelerator says what machines run on, and why.
func (d *Driver) accelerator() (accel, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.accel == "" {
		if err := d.kvmUsable(); err != nil {
			d.useTCG(err)
		} else {
			d.accel, d.reason = accelKVM, "a virtual CPU runs"
		}
	}
	return d.accel, d.reason
}

// kvmUsable says what keeps guests of this driver from running on KVM.
func (d *Driver) kvmUsable() error {
	if d.board.arch != runtime.GOARCH {
		return fmt.Errorf("KVM on %s does not run %s guests", runtime.GOARCH, d.board.arch)
	}
	return kvm.Probe()
}

// useTCG makes the driver use TCG from now on, with the lock held.
func (d *Driver) useTCG(reason error) {
	d.accel, d.reason = accelTCG, reason.Error()
	d.log.Info("machines run without KVM", "reason", reason)
}

// concede handles QEMU's failure to come up. It reports whether trying again
// makes sense: because it complained about KVM, and there is TCG, or because it
// was built without a sandbox, and runs without.
func (d *Driver) concede(accel string, failure error) bool {
	var failed *startError
	if !errors.As(failure, &failed) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case failed.mentions("seccomp") && !d.noSandbox:
		d.noSandbox = true
		d.log.Warn("QEMU runs without a sandbox", "reason", failure)
		return true
	case failed.mentions("kvm") && accel == accelKVM && !d.forced:
		if d.accel == accelKVM {
			d.useTCG(failure)
		}
		return true
	}
	return false
}

// sandboxed says whether QEMU is to give up what a machine does not need.
func (d *Driver) sandboxed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.noSandbox
}

// New implements vm.Driver.
func (d *Driver) New(ctx context.Context, c vm.Config) (vm.Machine, error) {
	m, err := d.newMachine(c)
	if err != nil {
		return nil, fmt.Errorf("machine %s: %w", c.Name, err)
	}
	return m, nil
}

var _ vm.Driver = (*Driver)(nil)
