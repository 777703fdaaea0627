//go:build linux

// Package launch starts processes in containers.
//
// There is no helper program between vminitd and the process: a thread of
// vminitd enters the container's namespaces, and with them its file system,
// finds there what the process needs, drops what the process may not do, and
// then forks. The Go runtime keeps such a thread apart (package runtime,
// LockOSThread).
package launch

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/api/reason"
)

// Error says why a process cannot be made or started.
type Error struct {
	Reason string // a word of guest/api/reason, or empty
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Options says what is to run, and where.
type Options struct {
	Process *api.Process
	// Root is set for a container's first process, which gets new namespaces.
	Root *Root
	// Target is the pidfd of a container's first process, whose namespaces
	// any other process joins. It stays the caller's.
	Target int
	// Cgroup is a descriptor of the control group's directory. It stays the
	// caller's, who keeps it open.
	Cgroup int
	// Stdio are the standard streams; with a terminal they are not used. They
	// become the Child's.
	Stdio [3]*os.File
}

// Child is a process that is ready to start.
type Child struct {
	// Terminal is the master of the process's terminal, nil without one. It
	// belongs to the caller.
	Terminal *os.File
	// Pidfd refers to the process once it has been started, for the caller to
	// close.
	Pidfd int
	// Root is an O_PATH descriptor of the container's root directory, of a
	// container's first process until that starts or is abandoned; else -1.
	Root int

	thread  *thread
	options Options
	score   *score   // nil for the usual one
	minder  *os.File // nil without an init
}

// Prepare enters the container's namespaces, making them and its file system
// for a first process, and opens the terminal.
func Prepare(o Options) (*Child, error) {
	c := &Child{thread: newThread(), options: o, Pidfd: -1, Root: -1}
	err := c.open()
	if err == nil {
		err = c.thread.do(c.prepare)
	}
	if err != nil {
		c.Abandon()
		return nil, err
	}
	return c, nil
}

// open opens what will be out of sight in the container.
func (c *Child) open() (err error) {
	p := c.options.Process
	if c.score, err = openScore(p); err == nil && p.Init && c.options.Root != nil {
		c.minder, err = openMinder()
	}
	return err
}

// prepare runs on the thread.
func (c *Child) prepare() error {
	o := &c.options
	if o.Root == nil {
		if err := join(o.Target); err != nil {
			return err
		}
		return c.openTerminal()
	}
	if err := o.Root.enter(o.Process.Privileged); err != nil {
		return err
	}
	if err := c.openTerminal(); err != nil {
		return err
	}
	if err := c.bindConsole(); err != nil {
		return err
	}
	if err := o.Root.seal(); err != nil {
		return err
	}
	var err error
	c.Root, err = unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return err
}

// Start executes the process and returns its number as vminitd sees it. It may
// be called once. An *Error tells what is wrong with the process itself.
func (c *Child) Start() (pid int, err error) {
	defer c.release()
	err = c.thread.do(func() (err error) {
		pid, err = c.start()
		return err
	})
	return pid, err
}

// start runs on the thread.
func (c *Child) start() (pid int, err error) {
	p := c.options.Process
	id, err := lookUpUser(p.User, p.Groups)
	if err != nil {
		return 0, &Error{reason.User, err}
	}
	if err := enterDirectory(p.Cwd); err != nil {
		return 0, &Error{reason.Directory, err}
	}
	env := completeEnv(p.Env, id.home, p.Terminal)
	path, err := lookUpProgram(p.Args[0], env)
	if err != nil {
		return 0, err
	}
	if err := c.giveStdio(id.uid); err != nil {
		return 0, err
	}
	if err := restrict(capabilities(p).Bounding, p.NoNewPrivileges); err != nil {
		return 0, err
	}
	unix.Umask(umask(p))
	list := c.calls(id, path, env)
	if err := c.score.set(p.OomScoreAdj); err != nil {
		return 0, err
	}
	pid, c.Pidfd, err = list.fork(c.options.Cgroup)
	if serr := c.score.set(0); err == nil {
		err = serr
	}
	if e := (*callError)(nil); errors.As(err, &e) && e.index == len(list.list)-1 {
		return 0, execFailure(p.Args[0], e.errno)
	}
	return pid, err
}

// calls is all that the new process does.
func (c *Child) calls(id identity, path string, env []string) *calls {
	p, list := c.options.Process, &calls{}
	if c.options.Root != nil {
		c.options.Root.finish(list)
	}
	c.takeStdio(list)
	setLimits(list, p.Rlimits)
	// A filter needs CAP_SYS_ADMIN or no_new_privs. With the latter it can come
	// last and then need not allow what is between.
	filtered := len(p.Seccomp) > 0
	if filtered && !p.NoNewPrivileges {
		setFilter(list, p.Seccomp)
	}
	caps := capabilities(p)
	id.assume(list, carries(caps))
	if carries(caps) {
		setCapabilities(list, caps)
	}
	var none unix.Sigset_t
	list.keep = append(list.keep, &none)
	list.add("unblock signals", unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&none)), 0, kernelSigset)
	if filtered && p.NoNewPrivileges {
		setFilter(list, p.Seccomp)
	}
	if c.minder != nil {
		c.executeMinder(list, path, env)
	} else {
		list.add("execute", unix.SYS_EXECVE, list.text(path), list.texts(p.Args), list.texts(env))
	}
	return list
}

// umask is what a process does not let others do with the files that it makes.
func umask(p *api.Process) int {
	if p.Umask == nil {
		return 0o022
	}
	return int(*p.Umask) & 0o777
}

// kernelSigset is the size of the kernel's sigset_t in bytes (rt_sigprocmask(2)).
const kernelSigset = 8

// giveStdio gives the standard streams to the user, who may open them by name:
// /dev/stdout leads to them. /dev/null is everybody's already.
func (c *Child) giveStdio(uid int) error {
	for _, f := range c.options.Stdio {
		var st unix.Stat_t
		err := unix.Fstat(int(f.Fd()), &st)
		if err == nil && (c.Terminal != nil || st.Mode&unix.S_IFMT == unix.S_IFIFO) {
			err = unix.Fchown(int(f.Fd()), uid, -1)
		}
		if err != nil {
			return fmt.Errorf("give the standard streams to the user: %w", err)
		}
	}
	return nil
}

// takeStdio makes the standard streams the process's descriptors 0 to 2, and a
// terminal its controlling one.
func (c *Child) takeStdio(list *calls) {
	list.add("make a session", unix.SYS_SETSID)
	for i, f := range c.options.Stdio {
		list.add("take standard streams", unix.SYS_DUP3, f.Fd(), uintptr(i), 0)
	}
	if c.options.Process.Terminal && c.minder == nil { // a minder leaves it to the program
		list.add("take the terminal", unix.SYS_IOCTL, 0, unix.TIOCSCTTY, 0)
	}
}

// Abandon gives up a child instead of starting it.
func (c *Child) Abandon() {
	c.release()
	if c.Terminal != nil {
		c.Terminal.Close()
	}
}

// release lets go of what only the process itself needs.
func (c *Child) release() {
	c.thread.end()
	c.score.close()
	if c.minder != nil {
		c.minder.Close()
	}
	if c.Root >= 0 {
		unix.Close(c.Root)
		c.Root = -1
	}
	for _, f := range c.options.Stdio {
		if f != nil {
			f.Close()
		}
	}
}

// execFailure gives the errors of execve(2) their reasons.
func execFailure(name string, err error) error {
	why := ""
	switch {
	case errors.Is(err, unix.ENOENT): // the file is there: its interpreter is not
		return &Error{reason.NotFound, fmt.Errorf("exec: %q: its interpreter is missing: no such file or directory", name)}
	case errors.Is(err, unix.ENOEXEC):
		return &Error{reason.NotExecutable, fmt.Errorf("exec: %q: exec format error: not a program for this machine: permission denied", name)}
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM), errors.Is(err, unix.ETXTBSY), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ELIBBAD):
		why = reason.NotExecutable
	}
	return &Error{why, fmt.Errorf("exec: %q: %w", name, err)}
}
