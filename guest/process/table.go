//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/cgroup"
	"github.com/skerry-app/skerry/guest/launch"
)

// Errors that callers tell apart.
var (
	ErrInvalid    = errors.New("this cannot be made a process")
	ErrUnknown    = errors.New("no such process")
	ErrExists     = errors.New("a process of this name exists already")
	ErrNotReady   = errors.New("the process is not ready to start, or has been started before")
	ErrNotRunning = errors.New("the process has not been started")
	ErrRunning    = errors.New("the process still runs")
	ErrNoInit     = errors.New("the container's first process does not run")
)

// Init is the name of the container's first process.
const Init = "init"

// maxProcesses bounds how many processes the host may have at once.
const maxProcesses = 10_000

// Table has the processes of a container that the host knows.
type Table struct {
	reaper *Reaper
	group  *cgroup.Group

	mu        sync.Mutex
	processes map[string]*Process
}

// NewTable returns an empty table whose processes run in a control group.
func NewTable(r *Reaper, g *cgroup.Group) *Table {
	return &Table{reaper: r, group: g, processes: map[string]*Process{}}
}

// Get finds a process by its name.
func (t *Table) Get(id string) (*Process, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.processes[id]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("process %q: %w", id, ErrUnknown)
}

// Create prepares a process and connects its streams. With root set it is the
// container's first. What is wrong with the process itself is a *launch.Error.
func (t *Table) Create(ctx context.Context, spec *api.Process, root *launch.Root) (err error) {
	if err := check(spec); err != nil {
		return err
	}
	o := launch.Options{Process: spec, Root: root, Target: -1, Cgroup: t.group.FD()}
	if root == nil {
		if o.Target, err = t.target(); err != nil {
			return err
		}
		defer unix.Close(o.Target)
	}
	p := &Process{id: spec.Id, group: t.group, ended: make(chan struct{})}
	if err := t.add(p); err != nil {
		return err
	}
	if err := p.prepare(ctx, o); err != nil {
		t.drop(p)
		return err
	}
	return nil
}

// check finds what cannot be made a process.
func check(spec *api.Process) error {
	switch {
	case len(spec.Args) == 0 || spec.Args[0] == "":
		return fmt.Errorf("process %q: %w: it has no program", spec.Id, ErrInvalid)
	case spec.Terminal && spec.StderrStream != 0:
		return fmt.Errorf("process %q: %w: with a terminal it has no stderr of its own", spec.Id, ErrInvalid)
	case spec.Rows > maxTerminal || spec.Columns > maxTerminal:
		return fmt.Errorf("process %q: %w: its terminal has more than %d rows or columns", spec.Id, ErrInvalid, maxTerminal)
	}
	if n := len(spec.Seccomp); n%8 != 0 || n/8 > maxFilter {
		return fmt.Errorf("process %q: %w: its seccomp filter of %d bytes is none", spec.Id, ErrInvalid, n)
	}
	// The kernel's strings end at a zero byte.
	for _, list := range [][]string{spec.Args, spec.Env, {spec.Cwd}} {
		for _, s := range list {
			if strings.IndexByte(s, 0) >= 0 {
				return fmt.Errorf("process %q: %w: %q holds a zero byte", spec.Id, ErrInvalid, s)
			}
		}
	}
	return nil
}

// maxFilter is the kernel's BPF_MAXINSNS, in instructions of 8 bytes.
const maxFilter = 4096

// maxTerminal is what struct winsize holds (ioctl_tty(2)).
const maxTerminal = 1<<16 - 1

func (p *Process) prepare(ctx context.Context, o launch.Options) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == failed { // deleted already
		return fmt.Errorf("process %q: %w", p.id, ErrUnknown)
	}
	defer func() {
		if err == nil {
			err = context.Cause(ctx) // nobody is told of it any more
		}
		if err != nil {
			p.fail()
		}
	}()
	if p.streams, o.Stdio, err = connect(ctx, o.Process); err != nil {
		return err
	}
	if p.child, err = launch.Prepare(o); err != nil {
		return err
	}
	p.terminal = p.child.Terminal
	p.state = ready
	return nil
}

// Start executes a prepared process and returns its number as the container
// sees it.
func (t *Table) Start(id string) (pid int32, err error) {
	p, err := t.Get(id)
	if err != nil {
		return 0, err
	}
	pid, err = p.Start(t.reaper)
	if err == nil && id == Init {
		go t.sweep(p)
	}
	return pid, err
}

// sweep ends the container with its first process, as the kernel does unless
// several share a PID namespace.
func (t *Table) sweep(first *Process) {
	<-first.ended
	if err := t.group.Signal(unix.SIGKILL); err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Print(err)
	}
}

func (t *Table) add(p *Process) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.processes[p.id] != nil {
		return fmt.Errorf("process %q: %w", p.id, ErrExists)
	}
	if len(t.processes) >= maxProcesses {
		return fmt.Errorf("%d processes are known already; delete some that have ended", len(t.processes))
	}
	t.processes[p.id] = p
	return nil
}

func (t *Table) drop(p *Process) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.processes, p.id)
}

// target returns a pidfd of the container's first process, for the caller to
// close.
func (t *Table) target() (pidfd int, err error) {
	first, err := t.Get(Init)
	if err != nil {
		return -1, ErrNoInit
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	if first.state != started || first.hasEnded() {
		return -1, ErrNoInit
	}
	return unix.FcntlInt(uintptr(first.child.Pidfd), unix.F_DUPFD_CLOEXEC, 0)
}

// Delete forgets a process that has ended or was never started. One that is
// not known is deleted already. Output that others still write goes on to its
// end.
func (t *Table) Delete(id string) error {
	p, err := t.Get(id)
	if err != nil {
		return nil
	}
	if p.abandon() {
		if !p.hasEnded() {
			return fmt.Errorf("process %q: %w", id, ErrRunning)
		}
		p.forget()
	}
	t.drop(p)
	return nil
}

// KillAll ends the container: it gives up what was not started, kills all
// processes, and waits until the first is gone.
func (t *Table) KillAll(ctx context.Context) error {
	t.mu.Lock()
	var all []*Process
	for _, p := range t.processes {
		all = append(all, p)
	}
	t.mu.Unlock()
	for _, p := range all {
		p.abandon()
	}
	if err := t.group.Signal(unix.SIGKILL); err != nil {
		return err
	}
	first, err := t.Get(Init)
	if err != nil || first.Signal(unix.SIGKILL) != nil { // never created or never started
		return nil
	}
	if _, err := first.Wait(ctx); err != nil {
		return fmt.Errorf("wait for the container's end: %w", err)
	}
	return nil
}
