//go:build linux

// Init is process 1 of the machine that kernel/check boots: it runs every probe, reports each on the console, and
// powers the machine off.
package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A probe is one thing that Skerry's guest relies on.
type probe struct {
	name string
	run  func() error
}

func main() {
	for _, group := range [][]probe{mounts, devices, systemCalls, controlGroups, networking} {
		for _, p := range group {
			if err := p.run(); err != nil {
				fmt.Printf("FAIL %s: %v\n", p.name, err)
				continue
			}
			fmt.Printf("ok %s\n", p.name)
		}
	}
	fmt.Println("done")
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Fprintln(os.Stderr, "power off:", err)
	}
}
