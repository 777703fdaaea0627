package vz

import (
	"errors"
	"fmt"

	"github.com/Code-Hex/vz/v3"

	"github.com/skerry-app/skerry/engine/vm"
)

// checkSaving asks the framework whether machines of a configuration can be saved
// (validateSaveRestoreSupport, macOS 14).
func checkSaving(config *vz.VirtualMachineConfiguration) error {
	macOS, err := hostMacOS()
	if err == nil {
		err = checkSavingSupport(macOS)
	}
	if err != nil {
		return err
	}
	ok, err := config.ValidateSaveRestoreSupport()
	if err == nil && !ok {
		err = errors.New("the framework does not say why")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", vm.ErrNotSavable, explain(err))
	}
	return nil
}

func saveState(m *vz.VirtualMachine, path string) error { return m.SaveMachineStateToPath(path) }

// restoreState takes a path, whatever its name.
func restoreState(m *vz.VirtualMachine, path string) error { return m.RestoreMachineStateFromURL(path) }
