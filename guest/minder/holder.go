//go:build linux

package minder

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// HolderName is argv[0] of the first process of a PID namespace that several
// containers share.
const HolderName = "skerry-pod"

// Hold collects orphans until it is killed.
func Hold() {
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	for {
		for {
			pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if err != unix.EINTR && pid <= 0 {
				break
			}
		}
		<-children
	}
}
