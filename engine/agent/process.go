package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/api/reason"
)

// Stdio says which streams of a process are wanted; the others are /dev/null.
type Stdio struct{ Stdin, Stdout, Stderr bool }

// StartError says that a process could not be made or started, and why.
type StartError struct {
	Reason string // a word of guest/api/reason, or empty where none fits
	Text   string
}

func (e *StartError) Error() string { return e.Text }

// Exit is how a process ended.
type Exit struct {
	Code      int // 128+signal when a signal ended it
	Signal    int
	OOMKilled bool
	At        time.Time
}

// Process is a process in the guest. Its streams are nil where they were not
// asked for.
type Process struct {
	Stdin, Stdout, Stderr vm.Conn

	c   *Container
	id  string
	pid int
}

// Process refers to a process by its name, without its streams.
func (c *Container) Process(id string) *Process { return &Process{c: c, id: id} }

// Pid returns the process's number as the container sees it, once it has been
// started.
func (p *Process) Pid() int { return p.pid }

// CreateProcess prepares a further process.
func (c *Container) CreateProcess(ctx context.Context, p *api.Process, io Stdio) (*Process, error) {
	return c.create(ctx, p, io, func(ctx context.Context) error {
		_, err := c.agent.CreateProcess(ctx, &api.CreateProcessRequest{Container: c.id, Process: p})
		return err
	})
}

// create has the guest make a process and takes the streams that it dials
// meanwhile.
func (c *Container) create(ctx context.Context, p *api.Process, io Stdio, call func(context.Context) error) (*Process, error) {
	var expected []*expectation
	defer func() {
		for _, e := range expected {
			e.cancel()
		}
	}()
	expect := func(wanted bool, id *uint64) {
		*id = 0
		if wanted {
			e := c.streams.expect()
			expected = append(expected, e)
			*id = e.id
		}
	}
	expect(io.Stdin, &p.StdinStream)
	expect(io.Stdout, &p.StdoutStream)
	expect(io.Stderr, &p.StderrStream)
	if err := call(ctx); err != nil {
		return nil, c.explain(err)
	}
	made := &Process{c: c, id: p.Id}
	// The guest answers after it has dialled all.
	for i, to := range made.places(io) {
		conn, err := expected[i].wait(ctx)
		if err != nil {
			made.Close()
			return nil, c.explain(fmt.Errorf("stream %d of the process: %w", i, err))
		}
		*to = conn
	}
	return made, nil
}

// places are where the wanted streams go, in the order in which they are
// expected.
func (p *Process) places(io Stdio) (to []*vm.Conn) {
	if io.Stdin {
		to = append(to, &p.Stdin)
	}
	if io.Stdout {
		to = append(to, &p.Stdout)
	}
	if io.Stderr {
		to = append(to, &p.Stderr)
	}
	return to
}

// Close closes the host's ends of its streams.
func (p *Process) Close() {
	for _, c := range []vm.Conn{p.Stdin, p.Stdout, p.Stderr} {
		if c != nil {
			c.Close()
		}
	}
}

// Start executes the process. A program that cannot be executed gives a
// *StartError.
func (p *Process) Start(ctx context.Context) error {
	r, err := p.c.agent.StartProcess(ctx, &api.StartProcessRequest{Container: p.c.id, Id: p.id})
	if err != nil {
		p.Close()
		return p.c.explain(err)
	}
	p.pid = int(r.Pid)
	return nil
}

// Wait waits for the process to end.
func (p *Process) Wait(ctx context.Context) (Exit, error) {
	r, err := p.c.agent.WaitProcess(ctx, &api.WaitProcessRequest{Container: p.c.id, Id: p.id})
	if err != nil {
		return Exit{}, p.c.explain(err)
	}
	return Exit{Code: int(r.ExitCode), Signal: int(r.Signal), OOMKilled: r.OomKilled, At: r.ExitedAt.AsTime()}, nil
}

// Signal sends a signal to the process, or with all set to all processes of
// the container.
func (p *Process) Signal(ctx context.Context, signal int, all bool) error {
	_, err := p.c.agent.SignalProcess(ctx, &api.SignalProcessRequest{Container: p.c.id, Id: p.id, Signal: int32(signal), All: all})
	return p.c.explain(err)
}

// Resize sets the size of the process's terminal.
func (p *Process) Resize(ctx context.Context, rows, columns uint16) error {
	_, err := p.c.agent.ResizeProcess(ctx, &api.ResizeProcessRequest{Container: p.c.id, Id: p.id, Rows: uint32(rows), Columns: uint32(columns)})
	return p.c.explain(err)
}

// Delete makes the guest forget a process that has ended or was never started.
func (p *Process) Delete(ctx context.Context) error {
	_, err := p.c.agent.DeleteProcess(ctx, &api.DeleteProcessRequest{Container: p.c.id, Id: p.id})
	return p.c.explain(err)
}

// plain takes gRPC's wrapping off an error; what the guest says of a process
// that cannot be started becomes a *StartError.
func plain(err error) error {
	st, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	switch st.Code() {
	case codes.Canceled:
		return context.Canceled
	case codes.DeadlineExceeded:
		return context.DeadlineExceeded
	}
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.Domain == reason.Domain {
			return &StartError{info.Reason, st.Message()}
		}
	}
	return errors.New(st.Message())
}
