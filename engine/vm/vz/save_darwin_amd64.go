package vz

import (
	"fmt"

	"github.com/Code-Hex/vz/v3"

	"github.com/skerry-app/skerry/engine/vm"
)

// errIntel: the framework saves machines on Apple silicon only.
var errIntel = fmt.Errorf("%w on a Mac with Intel", vm.ErrNotSavable)

func checkSaving(*vz.VirtualMachineConfiguration) error { return errIntel }

func saveState(*vz.VirtualMachine, string) error { return errIntel }

func restoreState(*vz.VirtualMachine, string) error { return errIntel }
