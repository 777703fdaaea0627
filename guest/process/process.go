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

	"github.com/skerry-app/skerry/guest/cgroup"
	"github.com/skerry-app/skerry/guest/launch"
)

// Exit is how a process ended.
type Exit struct {
	Status unix.WaitStatus
	At     time.Time
	// OOMKilled tells that the container's memory limit killed something
	// while the process ran.
	OOMKilled bool
}

// Process is one process of the container, from its preparation to its end.
type Process struct {
	id       string
	group    *cgroup.Group
	child    *launch.Child
	terminal *os.File // nil without one
	streams  streams
	ended    chan struct{} // closed when exit or never is set
	exit     Exit
	never    error // why it will never run

	mu    sync.Mutex
	state state
	pid   int // as the machine sees it, once started
}

// state is where a process is in its life.
type state int

const (
	preparing state = iota
	ready           // to start
	started         // running or ended
	failed          // to prepare or start, or given up
	forgotten       // after its end
)

// Start executes the prepared process and returns its number as the container
// sees it. An error is a *launch.Error if the program could not be executed.
func (p *Process) Start(r *Reaper) (pid int32, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != ready {
		return 0, fmt.Errorf("process %q: %w", p.id, ErrNotReady)
	}
	kills := p.group.OOMKills()
	exited, err := r.Start(func() (int, error) {
		outer, err := p.child.Start()
		if err == nil {
			p.pid = outer
			pid = InnerPid(outer) // it is there, dead or alive, until it is collected
		}
		return outer, err
	})
	p.state = started
	if err != nil {
		p.fail()
		return 0, err
	}
	p.streams.run(p.terminal)
	go func() {
		p.exit = Exit{<-exited, time.Now(), p.group.OOMKills() > kills}
		close(p.ended)
	}()
	return pid, nil
}

// Wait returns how the process ended, or ErrNotRunning when it never will run.
func (p *Process) Wait(ctx context.Context) (Exit, error) {
	select {
	case <-p.ended:
		return p.exit, p.never
	case <-ctx.Done():
		return Exit{}, context.Cause(ctx)
	}
}

// Signal sends a signal to the process. One that has ended takes none and
// gives no error.
func (p *Process) Signal(sig unix.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != started && p.state != forgotten {
		return fmt.Errorf("send signal %d to process %q: %w", sig, p.id, ErrNotRunning)
	}
	if p.hasEnded() {
		return nil
	}
	if err := unix.PidfdSendSignal(p.child.Pidfd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("send signal %d to process %q: %w", sig, p.id, err)
	}
	return nil
}

// Resize sets the size of its terminal; the terminal of a process that has
// ended keeps what it has.
func (p *Process) Resize(rows, columns uint16) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal == nil {
		return fmt.Errorf("process %q has no terminal", p.id)
	}
	raw, err := p.terminal.SyscallConn()
	if err != nil {
		return fmt.Errorf("resize terminal of process %q: %w", p.id, err)
	}
	size := unix.Winsize{Row: rows, Col: columns}
	var set error
	if raw.Control(func(fd uintptr) { set = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &size) }) != nil {
		return nil // it is closed, and there is no other reason
	}
	if set != nil {
		return fmt.Errorf("resize terminal of process %q: %w", p.id, set)
	}
	return nil
}

func (p *Process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// abandon gives up a process that has not been started and tells whether it
// had.
func (p *Process) abandon() (wasStarted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.state {
	case started, forgotten:
		return true
	case preparing, ready:
		p.fail()
	}
	return false
}

// forget releases what a process that has ended still holds, but for output
// that goes on.
func (p *Process) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == forgotten {
		return
	}
	p.state = forgotten
	unix.Close(p.child.Pidfd)
	if in := p.streams.host[0]; in != nil {
		in.Close() // nobody reads it any more
	}
}

// fail lets go of a prepared process that will not run, with the lock held.
func (p *Process) fail() {
	if p.state == ready {
		p.child.Abandon()
	}
	p.state = failed
	p.never = fmt.Errorf("process %q: %w", p.id, ErrNotRunning)
	close(p.ended)
	p.streams.close()
	if p.terminal != nil {
		p.terminal.Close()
	}
}
