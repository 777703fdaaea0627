package api

import (
	"context"
	"fmt"
	"math"
	"net/http"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"

	"github.com/skerry-app/skerry/engine"
)

func (s *Server) createExec(w http.ResponseWriter, r *http.Request) error {
	c, err := s.container(r)
	if err != nil {
		return err
	}
	var req container.ExecCreateRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	if len(req.Cmd) == 0 {
		return invalid("No exec command specified")
	}
	// The docker command looks for these keys itself; an exec is not left by
	// them from other clients.
	if _, err := parseDetachKeys(req.DetachKeys); err != nil {
		return err
	}
	x, err := c.NewExec(engine.ExecSpec{
		Command: req.Cmd, Env: req.Env, WorkingDir: req.WorkingDir, User: req.User, Privileged: req.Privileged,
		TTY: req.Tty, Stdin: req.AttachStdin, Stdout: req.AttachStdout, Stderr: req.AttachStderr,
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, container.ExecCreateResponse{ID: x.ID()})
}

func (s *Server) startExec(w http.ResponseWriter, r *http.Request) error {
	var req container.ExecStartRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	x, err := s.engine.Exec(r.PathValue("id"))
	if err != nil {
		return err
	}
	snap := x.Snapshot()
	if snap.Running || snap.ExitCode != nil {
		return errdefs.ErrConflict.WithMessage(fmt.Sprintf("exec %s has been started already", x.ID()))
	}
	if req.Detach {
		return startDetached(withoutCancel(r), x)
	}
	se, err := s.hijack(w, r, snap.Spec.TTY)
	if err != nil {
		return err
	}
	defer s.end(se)
	ctx, cancel := se.context(r.Context())
	defer cancel()
	se.accept()
	started := false
	err = x.Start(ctx, execStreams(se, snap.Spec), func() {
		started = true
		s.resizeTo(ctx, x, req.ConsoleSize)
	})
	if err != nil && !started {
		fmt.Fprintf(se.errOut, "%v\r\n", startFailure(err)) // as Docker; inspect has the exit status
	}
	s.sessionEnded(r, se, err)
	return nil
}

func execStreams(se *session, spec engine.ExecSpec) engine.Streams {
	var streams engine.Streams
	if spec.Stdin {
		streams.Stdin = se.input
	}
	if spec.Stdout || spec.TTY {
		streams.Stdout = se.out
	}
	if spec.Stderr {
		streams.Stderr = se.errOut
	}
	return streams
}

// resizeTo sets a terminal to its first size, height and width.
func (s *Server) resizeTo(ctx context.Context, x *engine.Exec, size *[2]uint) {
	if size == nil || !x.Snapshot().Spec.TTY || size[0] == 0 || size[1] == 0 || size[0] > math.MaxUint16 || size[1] > math.MaxUint16 {
		return
	}
	if err := x.Resize(ctx, uint16(size[0]), uint16(size[1])); err != nil {
		s.log.Debug("resize exec", "id", x.ID(), "error", err)
	}
}

// startDetached returns when the process runs, or cannot.
func startDetached(ctx context.Context, x *engine.Exec) error {
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- x.Start(ctx, engine.Streams{}, func() { close(started) }) }()
	select {
	case <-started:
		return nil
	case err := <-ended:
		return startFailure(err)
	}
}

func (s *Server) resizeExec(w http.ResponseWriter, r *http.Request) error {
	x, err := s.engine.Exec(r.PathValue("id"))
	if err != nil {
		return err
	}
	rows, columns, err := terminalSize(r)
	if err != nil {
		return err
	}
	return x.Resize(r.Context(), rows, columns)
}

func (s *Server) inspectExec(w http.ResponseWriter, r *http.Request) error {
	x, err := s.engine.Exec(r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, toExecInspect(x.Snapshot()))
}

func toExecInspect(s engine.ExecSnapshot) container.ExecInspectResponse {
	return container.ExecInspectResponse{
		ID: s.ID, ContainerID: s.ContainerID, Running: s.Running, ExitCode: s.ExitCode,
		ProcessConfig: &container.ExecProcessConfig{
			Tty: s.Spec.TTY, Entrypoint: s.Spec.Command[0], Arguments: nonNil(s.Spec.Command[1:]),
			Privileged: &s.Spec.Privileged, User: s.Spec.User,
		},
		OpenStdin: s.Spec.Stdin, OpenStdout: s.Spec.Stdout, OpenStderr: s.Spec.Stderr,
	}
}
