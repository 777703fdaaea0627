//go:build linux

package process

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/archive"
)

// Root returns an O_PATH descriptor of the container's root directory, for the
// caller to close. Through it all is seen that is mounted for the container.
func (t *Table) Root() (archive.Root, error) {
	first, err := t.Get(Init)
	if err != nil {
		return -1, ErrNoInit
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	var fd int
	switch {
	case first.state == ready:
		fd, err = unix.FcntlInt(uintptr(first.child.Root), unix.F_DUPFD_CLOEXEC, 0)
	case first.state == started && !first.hasEnded():
		fd, err = unix.Open(fmt.Sprintf("/proc/%d/root", first.pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	default:
		return -1, ErrNoInit
	}
	if err != nil {
		return -1, fmt.Errorf("open the container's root: %w", err)
	}
	return archive.Root(fd), nil
}
