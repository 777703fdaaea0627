package vz

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/Code-Hex/vz/v3"

	"github.com/skerry-app/skerry/engine/vm"
)

// Options configures a Driver.
type Options struct {
	// Log receives what is worth knowing and no error; nil discards it.
	Log *slog.Logger
}

// installTimeout is how long the user may think about Rosetta, and its download
// take.
const installTimeout = 30 * time.Minute

// Driver makes machines with Virtualization.framework, in this process. The
// process needs the entitlement com.apple.security.virtualization. Its methods
// and those of its machines must not be called where there is an autorelease
// pool (AppKit's callbacks): vz counts on there being none.
type Driver struct{ log *slog.Logger }

var _ vm.Driver = (*Driver)(nil)

// New returns a driver.
func New(o Options) (*Driver, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Driver{log: o.Log}, nil
}

// Name implements vm.Driver.
func (d *Driver) Name() string { return "Virtualization.framework" }

// Parallel implements vm.Driver.
func (d *Driver) Parallel() bool { return true }

// Rosetta says what keeps machines from running programs for amd64 with
// Rosetta, and what to do about it; nil if nothing.
func (d *Driver) Rosetta() error { return hostRosetta() }

// RosettaInstallable tells whether InstallRosetta is what it takes.
func (d *Driver) RosettaInstallable() bool { return errors.Is(hostRosetta(), errNotInstalled) }

// InstallRosetta has the system ask the user whether to install Rosetta, and do so.
func (d *Driver) InstallRosetta(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, installTimeout, fmt.Errorf("it has not come to an end in %v", installTimeout))
	defer cancel()
	if err := call(ctx, askForRosetta); err != nil {
		return fmt.Errorf("install Rosetta: %w", err)
	}
	return nil
}

func thisHost() host {
	return host{
		arch:      runtime.GOARCH,
		minCPUs:   int(vz.VirtualMachineConfigurationMinimumAllowedCPUCount()),
		maxCPUs:   int(vz.VirtualMachineConfigurationMaximumAllowedCPUCount()),
		minMemory: int64(vz.VirtualMachineConfigurationMinimumAllowedMemorySize()),
		maxMemory: int64(vz.VirtualMachineConfigurationMaximumAllowedMemorySize()),
		rosetta:   hostRosetta(),
		nbd:       hostNBD(),
		nested:    vz.IsNestedVirtualizationSupported(),
		vmnet:     vmnetMissing(),
	}
}

// New implements vm.Driver.
func (d *Driver) New(_ context.Context, c vm.Config) (vm.Machine, error) {
	p, err := newPlan(c, thisHost())
	if err != nil {
		return nil, fmt.Errorf("machine %s: %w", c.Name, err)
	}
	m, err := newMachine(c, p, d.log.With("machine", c.Name))
	if err != nil {
		return nil, fmt.Errorf("machine %s: %w", c.Name, err)
	}
	return m, nil
}

// Check implements vm.Driver.
func (d *Driver) Check(context.Context) []vm.Finding {
	h := thisHost()
	found := []vm.Finding{
		{OK: true, Subject: "Virtualization.framework",
			Detail: fmt.Sprintf("up to %d CPUs and %d MiB for one machine", h.maxCPUs, h.maxMemory/mebibyte)},
		checkEntitlement(),
	}
	if h.arch == "arm64" {
		// Not a fault: images for arm64 do without.
		detail := "images for amd64 run"
		if h.rosetta != nil {
			detail = "images for amd64 are emulated by qemu-user, which is slower: " + h.rosetta.Error()
		}
		found = append(found, vm.Finding{OK: true, Subject: "Rosetta", Detail: detail})
	}
	return found
}

func checkEntitlement() vm.Finding {
	err := probe()
	if err == nil {
		return vm.Finding{OK: true, Subject: "entitlement", Detail: entitlement + " is there"}
	}
	f := vm.Finding{Subject: "entitlement", Detail: err.Error(), Fix: `look for the reason with "` + logCommand + `"`}
	var why failure
	if errors.As(err, &why) && why.unentitled() {
		f.Fix = "install Skerry again, or sign it yourself: " + signCommand(executable())
	}
	return f
}

// executable is this program's path.
func executable() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// explain makes a sentence of the framework's and of vz's errors.
func explain(err error) error {
	var e *vz.NSError
	switch {
	case errors.As(err, &e):
		return failure{domain: e.Domain, code: e.Code, text: e.LocalizedDescription}
	case errors.Is(err, vz.ErrUnsupportedOSVersion):
		return fmt.Errorf("%w: update to macOS 13 or newer", err)
	case errors.Is(err, vz.ErrBuildTargetOSVersion):
		return fmt.Errorf("%w: this Skerry was built with too old an SDK, install a released one", err)
	}
	return err
}
