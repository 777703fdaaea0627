//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/mdlayher/vsock"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/launch"
	"github.com/skerry-app/skerry/guest/stream"
)

// Process is one process of the container, from its preparation to its end.
type Process struct {
	id      string
	child   *launch.Child
	streams streams

	mu      sync.Mutex
	started bool
	ended   chan struct{} // closed when status is set
	status  unix.WaitStatus
	at      time.Time
}

// streams are the host's ends.
type streams struct{ in, out, err *vsock.Conn }

func (s streams) close() {
	for _, c := range []*vsock.Conn{s.in, s.out, s.err} {
		if c != nil {
			c.Close()
		}
	}
}

// dial opens all streams that the host waits for, side by side.
func dial(ctx context.Context, p *api.Process) (s streams, err error) {
	g, ctx := errgroup.WithContext(ctx)
	for _, one := range []struct {
		id uint64
		to **vsock.Conn
	}{{p.StdinStream, &s.in}, {p.StdoutStream, &s.out}, {p.StderrStream, &s.err}} {
		if one.id != 0 {
			g.Go(func() (err error) {
				*one.to, err = stream.Dial(ctx, one.id)
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		s.close()
		return streams{}, err
	}
	return s, nil
}

// ends are the process's ends of its streams while it is being started, and
// what copies the others.
type ends struct {
	stdio [3]*os.File
	start []func()
	ours  []*os.File
}

// close closes the process's ends: it has its own by now, or never will.
func (e *ends) close() {
	for _, f := range e.stdio {
		if f != nil {
			f.Close()
		}
	}
}

// connect makes the pipes between streams and process. Without a stream it is
// /dev/null, and with a terminal too: the terminal comes later.
func connect(s streams, terminal bool) (e *ends, err error) {
	e = &ends{}
	defer func() {
		if err != nil {
			e.close()
			for _, f := range e.ours {
				f.Close()
			}
		}
	}()
	for i, c := range []*vsock.Conn{s.in, s.out, s.err} {
		if c == nil || terminal {
			if e.stdio[i], err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
				return e, err
			}
			continue
		}
		r, w, err := stream.Pipe()
		if err != nil {
			return e, err
		}
		if i == 0 {
			e.stdio[i], e.ours = r, append(e.ours, w)
			e.start = append(e.start, func() { stream.In(w, c, true) })
		} else {
			e.stdio[i], e.ours = w, append(e.ours, r)
			e.start = append(e.start, func() { stream.Out(c, r) })
		}
	}
	return e, nil
}

// ID returns the process's name.
func (p *Process) ID() string { return p.id }

// Pid returns its number as vminitd sees it.
func (p *Process) Pid() int { return p.child.Pid }

// Start lets the prepared process begin. A failure is a *launch.Error if the
// program could not be executed.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.started {
		return fmt.Errorf("process %s has been started already", p.id)
	}
	p.started = true
	return p.child.Go()
}

// Wait returns how the process ended.
func (p *Process) Wait(ctx context.Context) (unix.WaitStatus, time.Time, error) {
	select {
	case <-p.ended:
		return p.status, p.at, nil
	case <-ctx.Done():
		return 0, time.Time{}, context.Cause(ctx)
	}
}

// Signal sends a signal to the process; one that has ended takes none and
// gives no error.
func (p *Process) Signal(sig unix.Signal) error {
	select {
	case <-p.ended:
		return nil
	default:
	}
	if err := unix.Kill(p.child.Pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("send %v to process %s: %w", sig, p.id, err)
	}
	return nil
}

// Resize sets the size of its terminal.
func (p *Process) Resize(rows, columns uint16) error {
	if p.child.Terminal == nil {
		return fmt.Errorf("process %s has no terminal", p.id)
	}
	raw, err := p.child.Terminal.SyscallConn()
	if err != nil {
		return err
	}
	var ierr error
	if err := raw.Control(func(fd uintptr) {
		ierr = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
	}); err != nil {
		return err
	}
	return ierr
}
