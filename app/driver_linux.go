package main

import (
	"log/slog"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/engine/vm/qemu"
)

func newDriver(log *slog.Logger) (vm.Driver, error) {
	return qemu.New(qemu.Options{Log: log})
}
