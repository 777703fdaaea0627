package engine

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/engine/logfile"
)

// Streams are a client's ends of a process's streams; nil ones are not
// attached. Stdin is read until its end, the rest written until the output
// ends. A writer that blocks holds the process up.
//
// The functions that take Streams may return while a read from Stdin or a
// write is still under way; the caller ends these by closing what is
// underneath.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Attach connects s to the container's process, which may yet have to start.
// Once registered (which may be nil) has been called no output can be missed.
// With replay, what has been logged is written first. Attach returns when the
// output has ended, when a writer fails, or with ctx.
func (c *Container) Attach(ctx context.Context, s Streams, replay bool, registered func()) error {
	if s.Stdin != nil && !c.rec.Spec.OpenStdin {
		s.Stdin = nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if replay {
		if registered != nil {
			registered()
		}
		go c.feed(ctx, s.Stdin)
		return c.hub.log.Copy(ctx, logfile.Options{Follow: true, Tail: -1}, s.Stdout, s.Stderr)
	}
	at := c.hub.attach(s.Stdout, s.Stderr)
	defer c.hub.detach(at, nil)
	if registered != nil {
		registered()
	}
	go c.feed(ctx, s.Stdin)
	select {
	case <-at.ended:
		return at.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// feed copies a client's input to the process as soon as that has started.
func (c *Container) feed(ctx context.Context, stdin io.Reader) {
	if stdin == nil {
		return
	}
	var r *run
	err := c.until(ctx, func() bool {
		if c.run != nil && c.rec.State.Status.Alive() {
			r = c.run
		}
		return r != nil || c.removed
	})
	if err != nil || r == nil {
		return
	}
	if _, err := io.Copy(r.process.Stdin, stdin); err != nil {
		r.log.Debug("copy input", "error", err)
	}
	// The input ends with its client, however that goes. A terminal stays: its
	// client may have detached to come back.
	if c.rec.Spec.StdinOnce && !c.rec.Spec.TTY {
		r.process.Stdin.CloseWrite()
	}
}

// Resize sets the size of the container's terminal.
func (c *Container) Resize(ctx context.Context, rows, columns uint16) error {
	r, err := c.needRun()
	if err != nil {
		return err
	}
	if !c.rec.Spec.TTY {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("container %s has no terminal", c.name()))
	}
	return r.process.Resize(ctx, rows, columns)
}

// LogOptions chooses what Logs writes.
type LogOptions struct {
	Follow       bool // go on until the container stops
	Since, Until time.Time
	Tail         int  // the last lines only; negative: all
	Timestamps   bool // begin each line with its time, RFC 3339 with nanoseconds
}

// Logs writes the container's output, of all its runs, to stdout and stderr,
// either of which may be nil.
func (c *Container) Logs(ctx context.Context, o LogOptions, stdout, stderr io.Writer) error {
	return c.hub.log.Copy(ctx, logfile.Options(o), stdout, stderr)
}

// ProcessInfo is one line of Container.Top.
type ProcessInfo struct {
	Pid, Parent int // as the container sees them
	User        string
	Command     string
	StartedAt   time.Time
	CPU         time.Duration
	RSS         int64 // bytes
}

// Top lists the container's processes.
func (c *Container) Top(ctx context.Context) ([]ProcessInfo, error) {
	r, err := c.needRun()
	if err != nil {
		return nil, err
	}
	list, err := r.guest.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list processes of container %s: %w", c.name(), err)
	}
	var ps []ProcessInfo
	for _, p := range list {
		ps = append(ps, ProcessInfo{Pid: int(p.Pid), Parent: int(p.Parent), User: p.User, Command: p.Command,
			StartedAt: p.StartedAt.AsTime(), CPU: time.Duration(p.CpuNs), RSS: int64(p.RssBytes)})
	}
	return ps, nil
}
