//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/launch"
	"github.com/skerry-app/skerry/guest/stream"
)

// Errors of a Table that callers tell apart.
var (
	ErrUnknown = errors.New("no such process")
	ErrExists  = errors.New("a process of this name exists already")
	ErrRunning = errors.New("the process still runs")
)

// Init is the name of the container's first process.
const Init = "init"

// maxProcesses bounds how many processes the host may have at once.
const maxProcesses = 10_000

// Table has the processes that the host knows.
type Table struct {
	reaper *Reaper
	cgroup *os.File // directory of the container's control group

	mu        sync.Mutex
	processes map[string]*Process
}

// NewTable returns an empty table whose processes run in a control group.
func NewTable(r *Reaper, cgroup *os.File) *Table {
	return &Table{reaper: r, cgroup: cgroup, processes: map[string]*Process{}}
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
// container's first.
func (t *Table) Create(ctx context.Context, spec *api.Process, root *launch.Root) (err error) {
	if len(spec.Args) == 0 || spec.Args[0] == "" {
		return errors.New("a process needs a program")
	}
	if spec.Terminal && spec.StderrStream != 0 {
		return errors.New("a process with a terminal has no stderr of its own")
	}
	target := -1
	if root == nil {
		if target, err = t.target(); err != nil {
			return err
		}
		defer unix.Close(target)
	}
	p := &Process{id: spec.Id, ended: make(chan struct{})}
	if err := t.add(p); err != nil {
		return err
	}
	if err := t.prepare(ctx, p, spec, root, target); err != nil {
		t.drop(p)
		return err
	}
	return nil
}

func (t *Table) prepare(ctx context.Context, p *Process, spec *api.Process, root *launch.Root, target int) (err error) {
	if p.streams, err = dial(ctx, spec); err != nil {
		return err
	}
	e, err := connect(p.streams, spec.Terminal)
	if err != nil {
		p.streams.close()
		return err
	}
	defer e.close()
	exited, err := t.reaper.Start(func() (pid int, err error) {
		p.child, err = launch.Fork(launch.Options{Program: launch.Program, Cgroup: int(t.cgroup.Fd()), Target: target, Stdio: e.stdio})
		if err != nil {
			return 0, err
		}
		return p.child.Pid, nil
	})
	if err != nil {
		for _, f := range e.ours {
			f.Close()
		}
		p.streams.close()
		return err
	}
	go p.collect(exited)
	err = p.child.Prepare(launch.Spec{Root: root, Args: spec.Args, Env: spec.Env, Cwd: spec.Cwd, User: spec.User, Groups: spec.Groups,
		Terminal: spec.Terminal, Rows: uint16(spec.Rows), Cols: uint16(spec.Columns), Privileged: spec.Privileged, NoNewPrivs: spec.NoNewPrivileges})
	for _, start := range e.start {
		go start()
	}
	if err != nil {
		p.child.Abandon()
		return err
	}
	p.connectTerminal()
	return nil
}

// connectTerminal copies between a terminal and its streams. Two descriptors,
// because each direction closes its own when it ends.
func (p *Process) connectTerminal() {
	terminal := p.child.Terminal
	if terminal == nil {
		return
	}
	if p.streams.in != nil {
		go stream.In(terminal, p.streams.in, false)
	}
	if p.streams.out != nil {
		go stream.Out(p.streams.out, terminal)
	}
}

// collect keeps how the process ended.
func (p *Process) collect(exited <-chan unix.WaitStatus) {
	p.status = <-exited
	p.at = time.Now()
	close(p.ended)
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

// target opens the container's first process.
func (t *Table) target() (int, error) {
	first, err := t.Get(Init)
	if err != nil {
		return -1, fmt.Errorf("the container has no first process: %w", err)
	}
	select {
	case <-first.ended:
		return -1, errors.New("the container's first process has ended")
	default:
	}
	fd, err := unix.PidfdOpen(first.Pid(), 0)
	if err != nil {
		return -1, fmt.Errorf("open the container's first process: %w", err)
	}
	return fd, nil
}

// Delete forgets a process that has ended or was never started. One that is
// not known is deleted already.
func (t *Table) Delete(id string) error {
	p, err := t.Get(id)
	if err != nil {
		return nil
	}
	p.mu.Lock()
	started := p.started
	p.started = true // it cannot be started any more
	p.mu.Unlock()
	if !started {
		p.child.Abandon()
	} else {
		select {
		case <-p.ended:
		default:
			return fmt.Errorf("process %q: %w", id, ErrRunning)
		}
	}
	if p.child.Terminal != nil {
		p.child.Terminal.Close()
	}
	if p.streams.in != nil {
		p.streams.in.Close() // output goes on to its end, input has none
	}
	t.drop(p)
	return nil
}

// KillAll kills every process of the container and waits for its first to end.
func (t *Table) KillAll(ctx context.Context) error {
	first, err := t.Get(Init)
	if err != nil {
		return nil
	}
	if err := first.Signal(unix.SIGKILL); err != nil { // its namespace goes with it
		return err
	}
	_, _, err = first.Wait(ctx)
	return err
}
