//go:build linux

package launch

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// calls is what a new process does until it is executed. A process forked from
// a Go program has one thread and no runtime, so it can do nothing but system
// calls; a list of them, with all their arguments in place, is all it is
// given.
type calls struct {
	list []call
	// keep has what arguments point to: to the garbage collector a uintptr
	// refers to nothing. What is kept is on the heap, where it does not move.
	keep []any
}

// call is one system call.
type call struct {
	number uintptr
	args   [6]uintptr
	what   string // for the error
	pipe   bool   // its first argument is the pipe for the report
}

func (c *calls) add(what string, number uintptr, args ...uintptr) {
	one := call{number: number, what: what}
	copy(one.args[:], args)
	c.list = append(c.list, one)
}

// text returns an argument for a string. It must not hold a zero byte.
func (c *calls) text(s string) uintptr {
	b := append([]byte(s), 0)
	c.keep = append(c.keep, b)
	return uintptr(unsafe.Pointer(&b[0]))
}

// texts returns an argument for a list of strings, as execve(2) takes it.
func (c *calls) texts(list []string) uintptr {
	p := make([]uintptr, len(list)+1) // ends with a null pointer
	for i, s := range list {
		p[i] = c.text(s)
	}
	c.keep = append(c.keep, p)
	return uintptr(unsafe.Pointer(&p[0]))
}

func (c *calls) mount(source, target, fs string, flags uintptr, data string) {
	c.add("mount "+target, unix.SYS_MOUNT, c.text(source), c.text(target), c.text(fs), flags, c.text(data))
}

// cloneArgs is struct clone_args (clone(2)).
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls, setTID, setTIDSize, cgroup uint64
}

// report is what a process writes when a call of its fails.
type report struct{ index, errno uint64 }

// callError says which call failed.
type callError struct {
	index int
	what  string
	errno syscall.Errno
}

func (e *callError) Error() string { return e.what + ": " + e.errno.Error() }
func (e *callError) Unwrap() error { return e.errno }

// fork makes a process in a control group and has it do the calls, of which the
// last is execve(2). It returns when that has succeeded; a *callError says which
// call failed, and then the process is gone or about to be.
func (c *calls) fork(cgroup int) (pid, pidfd int, err error) {
	r, w, err := os.Pipe() // closed by execve(2)
	if err != nil {
		return 0, -1, err
	}
	defer r.Close()
	for i := range c.list {
		if c.list[i].pipe {
			c.list[i].args[0] = w.Fd()
		}
	}
	fd := new(int32)
	c.keep = append(c.keep, fd) // and so not on the stack, which moves
	args := &cloneArgs{flags: unix.CLONE_PIDFD | unix.CLONE_INTO_CGROUP, pidfd: uint64(uintptr(unsafe.Pointer(fd))),
		exitSignal: uint64(unix.SIGCHLD), cgroup: uint64(cgroup)}
	failed := new(report)
	pid, errno := forkQuietly(args, c.list, int(w.Fd()), failed)
	runtime.KeepAlive(c.keep)
	w.Close()
	if errno != 0 {
		return 0, -1, fmt.Errorf("fork: %w", errno)
	}
	var answer [unsafe.Sizeof(report{})]byte
	n, err := r.Read(answer[:])
	if n == 0 { // the end: it has been executed, or killed
		return pid, int(*fd), nil
	}
	unix.Close(int(*fd))
	if n < len(answer) {
		return 0, -1, errors.Join(errors.New("the new process failed"), err)
	}
	*failed = *(*report)(unsafe.Pointer(&answer))
	i := int(min(failed.index, uint64(len(c.list)-1))) // more: what the last call has executed failed in its turn
	return 0, -1, &callError{i, c.list[i].what, syscall.Errno(failed.errno)}
}

// forkQuietly forks while no signal can reach the thread: a handler would run
// in the new process as well, where there is no runtime for it.
func forkQuietly(args *cloneArgs, list []call, pipe int, failed *report) (pid int, errno syscall.Errno) {
	runtime.LockOSThread() // the mask is the thread's
	defer runtime.UnlockOSThread()
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before); err != nil {
		return 0, unix.EINVAL
	}
	syscall.ForkLock.Lock() // nobody is between making and marking a descriptor
	p, errno := forkAndCall(args, list, uintptr(pipe), failed)
	syscall.ForkLock.Unlock()
	unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	return int(p), errno
}

// forkAndCall returns in the parent only. In the new process it must not
// allocate, grow the stack, or call anything that may.
//
//go:nosplit
//go:norace
//go:noinline
func forkAndCall(args *cloneArgs, list []call, pipe uintptr, failed *report) (pid uintptr, errno syscall.Errno) {
	pid, _, errno = syscall.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(args)), unsafe.Sizeof(*args), 0)
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	for i := range list {
		c := &list[i]
		_, _, errno = syscall.RawSyscall6(c.number, c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5])
		if errno != 0 {
			failed.index, failed.errno = uint64(i), uint64(errno)
			syscall.RawSyscall(unix.SYS_WRITE, pipe, uintptr(unsafe.Pointer(failed)), unsafe.Sizeof(*failed))
			break
		}
	}
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 1, 0, 0)
	}
}
