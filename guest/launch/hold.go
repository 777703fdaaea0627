//go:build linux

package launch

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/minder"
)

// Hold makes a PID namespace for several containers, which lasts whichever of
// them end: its first process does nothing but collect orphans. It returns that
// process's pidfd. cgroup is a descriptor of the control group for it.
func Hold(cgroup int) (pidfd int, err error) {
	self, err := openMinder()
	if err != nil {
		return -1, err
	}
	defer self.Close()
	t := newThread()
	defer t.end()
	err = t.do(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWPID); err != nil {
			return err
		}
		list := &calls{}
		list.add("execute", unix.SYS_EXECVEAT, self.Fd(), list.text(""), list.texts([]string{minder.HolderName}), list.texts(nil), unix.AT_EMPTY_PATH)
		_, pidfd, err = list.fork(cgroup)
		return err
	})
	if err != nil {
		return -1, fmt.Errorf("make a PID namespace to share: %w", err)
	}
	return pidfd, nil
}
