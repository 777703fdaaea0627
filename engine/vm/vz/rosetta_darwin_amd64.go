package vz

import (
	"errors"

	"github.com/Code-Hex/vz/v3"
)

// errNoRosetta is what vz has no names for on Intel.
var errNoRosetta = errors.New("a Mac with Intel has no Rosetta: its machines run programs for amd64 by themselves")

func hostRosetta() error { return errNoRosetta }

func askForRosetta() error { return errNoRosetta }

// newRosetta is never called: no plan with Rosetta passes on this host.
func newRosetta(string) (vz.DirectorySharingDeviceConfiguration, error) { return nil, errNoRosetta }
