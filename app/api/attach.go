package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/engine"
)

// attachContainer connects a client with a container's process, which may yet
// have to start. The answer is sent when no output can be missed any more:
// clients start the container only then.
func (s *Server) attachContainer(w http.ResponseWriter, r *http.Request) error {
	c, err := s.container(r)
	if err != nil {
		return err
	}
	keys, err := parseDetachKeys(r.URL.Query().Get("detachKeys"))
	if err != nil {
		return err
	}
	snap := c.Snapshot()
	if snap.State.Status == engine.StatusPaused {
		return errdefs.ErrConflict.WithMessage(fmt.Sprintf("container %s is paused, unpause the container before attach", snap.Name))
	}
	se, err := s.hijack(w, r, snap.Spec.TTY)
	if err != nil {
		return err
	}
	defer s.end(se)
	ctx, cancel := se.context(r.Context())
	defer cancel()

	var streams engine.Streams
	if boolean(r, "stdout") {
		streams.Stdout = se.out
	}
	if boolean(r, "stderr") {
		streams.Stderr = se.errOut
	}
	stream, logs := boolean(r, "stream"), boolean(r, "logs")
	if boolean(r, "stdin") && stream && snap.Spec.OpenStdin {
		streams.Stdin = attachedInput(se, snap.Spec, keys, cancel)
	}
	switch {
	case stream:
		err = c.Attach(ctx, streams, logs, se.accept)
	case logs:
		se.accept()
		err = c.Logs(ctx, engine.LogOptions{Tail: -1}, streams.Stdout, streams.Stderr)
	default:
		se.accept()
	}
	s.sessionEnded(r, se, err)
	return nil
}

// context gives a context that ends when the client has gone.
func (se *session) context(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	go func() {
		select {
		case <-se.gone:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// sessionEnded deals with the error of a session, which has no status to be
// reported by unless nothing has been sent.
func (s *Server) sessionEnded(r *http.Request, se *session, err error) {
	if err == nil {
		return
	}
	s.log.Debug("session ended", "path", r.URL.Path, "error", err)
	if !se.accepted() {
		se.reject(err)
	}
}

// attachedInput is what a client types. As with Docker its end ends the
// session, unless it also ends the container's input.
func attachedInput(se *session, spec engine.Spec, keys []byte, detach func()) endReader {
	in := endReader{Reader: se.input, ended: func(err error) {
		if errors.Is(err, errDetached) || spec.TTY || !spec.StdinOnce {
			detach()
		}
	}}
	if spec.TTY {
		in.Reader = &detachReader{r: se.input, keys: keys}
	}
	return in
}
