//go:build linux

package launch

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Error says why vmlaunch did not become the process.
type Error struct {
	Reason string // a word of guest/api/reason, or empty
	Text   string
}

func (e *Error) Error() string { return e.Text }

// Child is a vmlaunch that waits for Go.
type Child struct {
	Pid int
	// Terminal is the master of the process's terminal, nil without one. It
	// belongs to the caller.
	Terminal *os.File

	control *net.UnixConn
	in      *bufio.Reader
}

// Options says where a process is to run.
type Options struct {
	Program string // vmlaunch
	// Cgroup is the descriptor of the control group's directory.
	Cgroup int
	// Target is the pidfd of the container's first process, -1 for that
	// process itself.
	Target int
	// Stdio are the standard streams; with a terminal they are not used.
	Stdio [3]*os.File
}

// newNamespaces are the namespaces of a container; its control group
// namespace is made by vmlaunch, once it is inside the group.
const newNamespaces = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC

// Fork starts vmlaunch. Its only side effect on failure is none. Prepare has
// to be called next.
func Fork(o Options) (*Child, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	files := []uintptr{o.Stdio[0].Fd(), o.Stdio[1].Fd(), o.Stdio[2].Fd(), theirs.Fd()}
	attr := &syscall.ProcAttr{Dir: "/", Sys: &syscall.SysProcAttr{Setsid: true, UseCgroupFD: true, CgroupFD: o.Cgroup}}
	if o.Target >= 0 {
		files = append(files, uintptr(o.Target))
	} else {
		attr.Sys.Cloneflags = newNamespaces
	}
	attr.Files = files
	pid, err := forkIn(o.Target, func() (int, error) { return syscall.ForkExec(o.Program, []string{"vmlaunch"}, attr) })
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("start %s: %w", o.Program, err)
	}
	return &Child{Pid: pid, control: ours, in: bufio.NewReader(ours)}, nil
}

// targetFD is where vmlaunch finds the pidfd of the process that it joins.
const targetFD = ControlFD + 1

// forkIn forks in the PID namespace of target. Joining one counts for the
// children of a thread only, so a thread of its own does it and ends.
func forkIn(target int, fork func() (int, error)) (pid int, err error) {
	if target < 0 {
		return fork()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err = unix.Setns(target, unix.CLONE_NEWPID); err != nil {
			err = fmt.Errorf("join the container's processes: %w", err)
			return
		}
		pid, err = fork()
	}()
	<-done
	return pid, err
}

func socketPair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make control socket: %w", err)
	}
	theirs = os.NewFile(uintptr(fds[1]), "control")
	f := os.NewFile(uintptr(fds[0]), "control")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("make control socket: %w", err)
	}
	return c.(*net.UnixConn), theirs, nil
}

// Prepare tells vmlaunch what to do and waits until it is ready to Go.
func (c *Child) Prepare(s Spec) error {
	if s.Root == nil {
		s.Target = targetFD
	}
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if _, err := c.control.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("talk to vmlaunch: %w", err)
	}
	// The terminal comes with the first byte of the answer.
	var first [1]byte
	oob := make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := c.control.ReadMsgUnix(first[:], oob)
	if err != nil || n == 0 {
		return fmt.Errorf("vmlaunch ended before it was ready: %w", errors.Join(err, io.ErrUnexpectedEOF))
	}
	if err := c.takeTerminal(oob[:oobn]); err != nil {
		return err
	}
	rest, err := c.in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("vmlaunch ended before it was ready: %w", err)
	}
	return answer(append(first[:], rest...))
}

func (c *Child) takeTerminal(oob []byte) error {
	if len(oob) == 0 {
		return nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return fmt.Errorf("take the terminal: %w", err)
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return fmt.Errorf("take the terminal: %w", err)
		}
		for _, fd := range fds {
			unix.SetNonblock(fd, true) // so that the runtime's poller can wait for it
			c.Terminal = os.NewFile(uintptr(fd), "terminal")
		}
	}
	return nil
}

// answer reads a message: nil when it says that all is well.
func answer(line []byte) error {
	var m Message
	if err := json.Unmarshal(line, &m); err != nil {
		return fmt.Errorf("vmlaunch said %q: %w", line, err)
	}
	if m.Ready {
		return nil
	}
	return &Error{m.Reason, m.Error}
}

// Go lets the process begin and returns when it has, or why it could not.
func (c *Child) Go() error {
	defer c.control.Close()
	if _, err := c.control.Write([]byte{'\n'}); err != nil {
		return fmt.Errorf("talk to vmlaunch: %w", err)
	}
	line, err := c.in.ReadBytes('\n')
	if errors.Is(err, io.EOF) && len(line) == 0 {
		return nil // the socket closed with execve(2)
	}
	if err != nil {
		return fmt.Errorf("talk to vmlaunch: %w", err)
	}
	return answer(line)
}

// Abandon ends a child that is not to Go.
func (c *Child) Abandon() {
	c.control.Close()
	if c.Terminal != nil {
		c.Terminal.Close()
	}
}
