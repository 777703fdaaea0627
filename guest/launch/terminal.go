//go:build linux

package launch

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openTerminal makes a terminal of the container's own devpts the standard
// streams, if the process wants one.
func (c *Child) openTerminal() error {
	p := c.options.Process
	if !p.Terminal {
		return nil
	}
	fail := func(err error) error { return fmt.Errorf("open a terminal: %w", err) }
	master, err := unix.Open("/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fail(err)
	}
	c.Terminal = os.NewFile(uintptr(master), "terminal") // in the runtime's poller, as it does not block
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return fail(err)
	}
	if p.Rows > 0 && p.Columns > 0 {
		size := unix.Winsize{Row: uint16(p.Rows), Col: uint16(p.Columns)}
		if err := unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, &size); err != nil {
			return fail(err)
		}
	}
	for i, f := range c.options.Stdio {
		// Opening the peer by descriptor needs no path, which the container
		// could have bent (ioctl_tty(2), TIOCGPTPEER).
		peer, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
		if errno != 0 {
			return fail(errno)
		}
		f.Close()
		c.options.Stdio[i] = os.NewFile(peer, "terminal")
	}
	return nil
}

// bindConsole makes the terminal /dev/console, in a /dev that nobody else can
// change yet.
func (c *Child) bindConsole() error {
	if c.Terminal == nil {
		return nil
	}
	fail := func(err error) error { return fmt.Errorf("make /dev/console: %w", err) }
	raw, err := c.Terminal.SyscallConn()
	if err != nil {
		return fail(err)
	}
	var number int
	var get error
	if err := raw.Control(func(fd uintptr) { number, get = unix.IoctlGetInt(int(fd), unix.TIOCGPTN) }); err != nil || get != nil {
		return fail(errors.Join(err, get))
	}
	f, err := os.OpenFile("/dev/console", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fail(err)
	}
	f.Close()
	if err := unix.Mount(fmt.Sprintf("/dev/pts/%d", number), "/dev/console", "", unix.MS_BIND, ""); err != nil {
		return fail(err)
	}
	return nil
}
