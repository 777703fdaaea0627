package main

import (
	"log/slog"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/engine/vm/vz"
)

func newDriver(log *slog.Logger) (vm.Driver, error) {
	return vz.New(vz.Options{Log: log})
}
