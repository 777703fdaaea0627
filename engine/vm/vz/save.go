package vz

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/skerry-app/skerry/engine/vm"
)

// A saved machine's directory has beside its description (vm.Saved):
const (
	stateName    = "state"    // the framework's file, which only this Mac can read
	identityName = "identity" // VZGenericMachineIdentifier: with another one the state is refused
)

// maxIdentity bounds an identity, in bytes. The framework's have some 60.
const maxIdentity = 4 << 10

// driverName is the driver's in saved machines. That a state is too new for this
// macOS the framework tells.
const driverName = "Virtualization.framework"

// savingMinMacOS is the first that saves machines.
const savingMinMacOS = 14

// checkSavingSupport says what keeps this Mac, of Apple silicon, from saving any
// machine; nil if nothing. It comes before the framework is asked, because vz asks
// an older one with an exception.
func checkSavingSupport(macOS int) error {
	if macOS < savingMinMacOS {
		return fmt.Errorf("%w on macOS %d: update to macOS %d or newer", vm.ErrNotSavable, macOS, savingMinMacOS)
	}
	return nil
}

// checkRestore wants what was saved to be the machine that is asked for, and
// returns its identity.
func checkRestore(c vm.Config) (identity []byte, err error) {
	was, err := vm.ReadSaved(c.Restore)
	if err != nil {
		return nil, err
	}
	is, err := vm.Describe(c, driverName)
	if err != nil {
		return nil, err
	}
	if err := is.Restores(was); err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(c.Restore, identityName))
	if err != nil {
		return nil, fmt.Errorf("saved machine: %w", err)
	}
	defer f.Close()
	identity, err = io.ReadAll(io.LimitReader(f, maxIdentity+1))
	if err != nil {
		return nil, fmt.Errorf("saved machine: %w", err)
	}
	if len(identity) == 0 || len(identity) > maxIdentity {
		return nil, fmt.Errorf("saved machine: %s has %d bytes, which is no identity", f.Name(), len(identity))
	}
	if _, err := os.Stat(filepath.Join(c.Restore, stateName)); err != nil {
		return nil, fmt.Errorf("saved machine: %w", err)
	}
	return identity, nil
}
