//go:build linux

package launch

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/minder"
)

// openMinder opens this program while it is in sight: as the container's init
// it is executed by descriptor, so that no file of it need be in the container.
func openMinder() (*os.File, error) {
	f, err := os.OpenFile("/proc/self/exe", unix.O_PATH, 0)
	if err != nil {
		return nil, fmt.Errorf("open the container's init: %w", err)
	}
	return f, nil
}

// executeMinder has the container's init executed in place of the program, and
// the program by it. The init holds the pipe for reports until that is done.
func (c *Child) executeMinder(list *calls, path string, env []string) {
	list.list = append(list.list, call{number: unix.SYS_DUP3, args: [6]uintptr{1: minder.ReportFD}, what: "hand over the report", pipe: true})
	args := append([]string{minder.Name, path}, c.options.Process.Args...)
	list.add("execute", unix.SYS_EXECVEAT, c.minder.Fd(), list.text(""), list.texts(args), list.texts(env), unix.AT_EMPTY_PATH)
}
