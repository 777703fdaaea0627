//go:build linux

package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// openTerminal makes a terminal of the container's own devpts the standard
// streams and controlling terminal of this process, and returns its master.
func openTerminal(rows, columns uint16) (master int, err error) {
	fail := func(err error) (int, error) { return -1, fmt.Errorf("open a terminal: %w", err) }
	if master, err = unix.Open("/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0); err != nil {
		return fail(err)
	}
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return fail(err)
	}
	// Opening the peer by descriptor needs no path, which the image could have
	// bent (ioctl_tty(2), TIOCGPTPEER).
	peer, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY)
	if errno != 0 {
		return fail(errno)
	}
	slave := int(peer)
	if rows > 0 && columns > 0 {
		if err := unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
			return fail(err)
		}
	}
	for fd := range 3 {
		if err := unix.Dup3(slave, fd, 0); err != nil {
			return fail(err)
		}
	}
	if slave > 2 {
		unix.Close(slave)
	}
	if err := unix.IoctlSetInt(0, unix.TIOCSCTTY, 0); err != nil {
		return fail(err)
	}
	return master, nil
}
