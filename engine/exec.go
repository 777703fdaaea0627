package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/engine/agent"
	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/api/reason"
)

// execKept is how long an exec that has ended can still be asked about.
const execKept = 5 * time.Minute

// Exec is a further process in a running container.
type Exec struct {
	id   string
	c    *Container
	run  *run
	spec ExecSpec

	mu      sync.Mutex
	process *agent.Process // once created in the guest
	state   execState
	code    *int
}

type execState int

const (
	execNew execState = iota
	execStarting
	execRunning
	execEnded
)

// ExecSnapshot is what is known of an exec.
type ExecSnapshot struct {
	ID, ContainerID string
	Spec            ExecSpec
	Running         bool
	ExitCode        *int // nil until it has ended
}

// NewExec makes an exec; Start runs it. A container that does not run gives
// errdefs.ErrConflict.
func (c *Container) NewExec(s ExecSpec) (*Exec, error) {
	if len(s.Command) == 0 || s.Command[0] == "" {
		return nil, errdefs.ErrInvalidArgument.WithMessage("exec needs a command")
	}
	r, err := c.needRun()
	if err != nil {
		return nil, err
	}
	if c.Snapshot().State.Status == StatusPaused {
		return nil, errdefs.ErrConflict.WithMessage(fmt.Sprintf("container %s is paused: unpause it first", c.name()))
	}
	x := &Exec{id: newID(), c: c, run: r, spec: s}
	c.engine.addExec(x)
	c.event("exec_create", map[string]string{"execID": x.id})
	return x, nil
}

// ID returns the exec's identity, 64 hexadecimal digits.
func (x *Exec) ID() string { return x.id }

// Container returns the container it belongs to.
func (x *Exec) Container() *Container { return x.c }

// Snapshot returns what is known of the exec at this moment.
func (x *Exec) Snapshot() ExecSnapshot {
	x.mu.Lock()
	defer x.mu.Unlock()
	return ExecSnapshot{ID: x.id, ContainerID: x.c.id, Spec: x.spec, Running: x.state == execRunning, ExitCode: x.code}
}

// Start runs the exec with s attached, calls started (which may be nil) once
// the process runs, and returns when its output has ended, when a writer fails,
// or with ctx; the process goes on in the latter cases. An exec can be started
// once. A command that cannot be executed gives a *StartError.
func (x *Exec) Start(ctx context.Context, s Streams, started func()) error {
	x.mu.Lock()
	if x.state != execNew {
		x.mu.Unlock()
		return errdefs.ErrConflict.WithMessage("exec " + x.id[:shortID] + " has been started already")
	}
	x.state = execStarting
	x.mu.Unlock()
	p, err := x.launch(ctx)
	if err != nil {
		x.finish(startCode(err))
		return err
	}
	x.mu.Lock()
	x.process, x.state = p, execRunning
	x.mu.Unlock()
	x.c.event("exec_start", map[string]string{"execID": x.id})
	if started != nil {
		started()
	}
	output, failed := connect(p, s)
	ended := make(chan struct{})
	go x.supervise(p, output, ended)
	select {
	case err := <-failed:
		return err
	case <-ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// launch creates and starts the process in the guest.
func (x *Exec) launch(ctx context.Context) (*agent.Process, error) {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	base, s := x.c.rec.Process, x.spec
	req := &api.Process{Id: x.id, Args: s.Command, Env: mergeEnv(base.Env, s.Env), Cwd: base.WorkingDir, User: base.User,
		Groups: x.c.rec.Spec.Groups, Terminal: s.TTY}
	if s.WorkingDir != "" {
		req.Cwd = s.WorkingDir
	}
	if s.User != "" {
		req.User, req.Groups = s.User, nil
	}
	fail := func(err error) error {
		return &StartError{startCode(err), fmt.Errorf("exec in container %s: %w", x.c.name(), err)}
	}
	if err := x.c.engine.restrict(&x.c.rec.Spec, req, s.Privileged || x.c.rec.Spec.Privileged); err != nil {
		return nil, fail(err)
	}
	p, err := x.run.guest.CreateProcess(ctx, req, agent.Stdio{Stdin: s.Stdin, Stdout: true, Stderr: !s.TTY})
	if err != nil {
		return nil, fail(err)
	}
	if err := p.Start(ctx); err != nil {
		x.delete(p)
		return nil, fail(err)
	}
	return p, nil
}

// startCode is the exit status that stands for a failed start.
func startCode(err error) int {
	var se *StartError
	if errors.As(err, &se) {
		return se.Code
	}
	var ae *agent.StartError
	if errors.As(err, &ae) {
		switch ae.Reason {
		case reason.NotFound:
			return 127
		case reason.NotExecutable:
			return 126
		}
	}
	return exitSkerry
}

// connect starts copying between the process and its client. Output that
// nobody takes is read all the same, so that the process is not held up.
func connect(p *agent.Process, s Streams) (o *outputs, failed <-chan error) {
	o = new(outputs)
	fail := make(chan error, 2)
	pump := func(w io.Writer, from vm.Conn) {
		o.pump(from, func(b []byte) {
			if w == nil {
				return
			}
			if _, err := w.Write(b); err != nil {
				w = nil
				fail <- err
			}
		})
	}
	pump(s.Stdout, p.Stdout)
	pump(s.Stderr, p.Stderr)
	switch {
	case p.Stdin == nil:
	case s.Stdin == nil:
		p.Stdin.CloseWrite()
	default:
		go func() {
			if _, err := io.Copy(p.Stdin, s.Stdin); err == nil {
				p.Stdin.CloseWrite()
			}
		}()
	}
	return o, fail
}

// supervise waits for the process and then for its output.
func (x *Exec) supervise(p *agent.Process, o *outputs, ended chan<- struct{}) {
	code := 128 + sigKILL // the container ended, and took the process along
	if exit, err := p.Wait(x.run.ctx); err == nil {
		code = exit.Code
	}
	o.drain(x.run.ctx)
	x.finish(code)
	close(ended)
	x.delete(p)
}

// finish records the exit status and forgets the exec after a while.
func (x *Exec) finish(code int) {
	x.mu.Lock()
	x.state, x.code = execEnded, &code
	x.mu.Unlock()
	x.c.event("exec_die", map[string]string{"execID": x.id, "exitCode": fmt.Sprint(code)})
	time.AfterFunc(execKept, func() { x.c.engine.forgetExec(x.id) })
}

func (x *Exec) delete(p *agent.Process) {
	ctx, cancel := context.WithTimeout(x.run.ctx, killTimeout)
	defer cancel()
	if err := p.Delete(ctx); err != nil {
		x.run.log.Debug("delete exec in guest", "error", err)
	}
}

// Resize sets the size of the exec's terminal.
func (x *Exec) Resize(ctx context.Context, rows, columns uint16) error {
	x.mu.Lock()
	p, state := x.process, x.state
	x.mu.Unlock()
	if state != execRunning || !x.spec.TTY {
		return errdefs.ErrConflict.WithMessage("exec " + x.id[:shortID] + " has no terminal that runs")
	}
	return p.Resize(ctx, rows, columns)
}
