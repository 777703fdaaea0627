package vz

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/Code-Hex/vz/v3"

	"github.com/skerry-app/skerry/engine/vm"
)

// Options configures a Driver.
type Options struct {
	Log *slog.Logger
}

// Driver makes machines with Virtualization.framework, in this process. The
// process needs the entitlement com.apple.security.virtualization.
type Driver struct{ log *slog.Logger }

var _ vm.Driver = (*Driver)(nil)

// New returns a driver.
func New(o Options) (*Driver, error) { return &Driver{log: o.Log}, nil }

// Name implements vm.Driver.
func (d *Driver) Name() string { return "Virtualization.framework" }

// Parallel implements vm.Driver.
func (d *Driver) Parallel() bool { return true }

func hostLimits() limits {
	return limits{
		minCPUs:   int(vz.VirtualMachineConfigurationMinimumAllowedCPUCount()),
		maxCPUs:   int(vz.VirtualMachineConfigurationMaximumAllowedCPUCount()),
		minMemory: int64(vz.VirtualMachineConfigurationMinimumAllowedMemorySize()),
		maxMemory: int64(vz.VirtualMachineConfigurationMaximumAllowedMemorySize()),
	}
}

// New implements vm.Driver.
func (d *Driver) New(_ context.Context, c vm.Config) (vm.Machine, error) {
	p, err := newPlan(c, hostLimits())
	if err != nil {
		return nil, err
	}
	m, err := newMachine(c, p, d.log.With("machine", c.Name))
	if err != nil {
		return nil, fmt.Errorf("machine %s: %w", c.Name, explain(err))
	}
	return m, nil
}

// Check implements vm.Driver.
func (d *Driver) Check(context.Context) []vm.Finding {
	l := hostLimits()
	found := []vm.Finding{{OK: true, Subject: "Virtualization.framework",
		Detail: fmt.Sprintf("up to %d cpus and %d MiB for one machine", l.maxCPUs, l.maxMemory/mebibyte)}}
	entitlement := vm.Finding{OK: true, Subject: "entitlement", Detail: "com.apple.security.virtualization is there"}
	if err := probe(); err != nil {
		entitlement = vm.Finding{Subject: "entitlement", Detail: err.Error(), Fix: signCommand}
	}
	return append(found, entitlement)
}

// signCommand gives a build of one's own the entitlement; it must be given
// anew after every build.
const signCommand = "codesign --force --sign - --entitlements entitlements.plist Skerry.app"

// explain adds what to do to the framework's errors.
func explain(err error) error {
	var e *vz.NSError
	if !errors.As(err, &e) || e.Domain != "VZErrorDomain" {
		return err
	}
	switch vz.ErrorCode(e.Code) {
	case vz.ErrorInvalidVirtualMachineConfiguration:
		return fmt.Errorf("%w (if the entitlement is missing: %s)", err, signCommand)
	case vz.ErrorVirtualMachineLimitExceeded:
		return fmt.Errorf("%w: stop another container first", err)
	case vz.ErrorOutOfDiskSpace:
		return fmt.Errorf("%w: free some space", err)
	default:
		return err
	}
}
