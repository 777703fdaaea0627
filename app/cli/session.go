package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// session is the local end of a process's streams.
type session struct {
	remote client.HijackedResponse
	tty    bool   // one raw stream; else stdout and stderr are multiplexed
	stdin  bool   // hand our stdin to the process
	keys   []byte // that detach a terminal's input
	raw    *rawMode
}

// open makes the terminal raw where the process is to see every key.
func (c *CLI) open(remote client.HijackedResponse, tty, stdin bool, keys []byte) (*session, error) {
	s := &session{remote: remote, tty: tty, stdin: stdin, keys: keys, raw: &rawMode{restore: func() {}}}
	if tty && stdin {
		raw, err := makeRaw(c.in)
		if err != nil {
			return nil, fmt.Errorf("make the terminal raw: %w", err)
		}
		s.raw = raw
	}
	return s, nil
}

// close gives the terminal and the connection back.
func (s *session) close() {
	s.raw.restore()
	s.remote.Close()
}

// stream copies until the process's output has ended (nil), the user detached
// (errDetached), ctx ended (its cause) or a stream failed.
func (c *CLI) stream(ctx context.Context, s *session) error {
	output := make(chan error, 1)
	go func() {
		defer s.raw.guard()
		output <- c.copyOutput(s)
	}()
	detached := make(chan error, 1)
	if s.stdin {
		go func() {
			defer s.raw.guard()
			if err := c.copyInput(s); errors.Is(err, errDetached) {
				detached <- err
			}
		}()
	}
	select {
	case err := <-output:
		return err
	case err := <-detached:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *CLI) copyOutput(s *session) error {
	var err error
	if s.tty {
		_, err = io.Copy(c.out, s.remote.Reader)
	} else {
		_, err = stdcopy.StdCopy(c.out, c.err, s.remote.Reader)
	}
	if err != nil {
		return fmt.Errorf("copy the container's output: %w", err)
	}
	return nil
}

// copyInput hands stdin on to its end and then says that it has ended. A
// process that does not want it any more is no failure.
func (c *CLI) copyInput(s *session) error {
	in := c.in
	if s.tty {
		in = &detachReader{source: c.in, keys: s.keys}
	}
	_, err := io.Copy(s.remote.Conn, in)
	if errors.Is(err, errDetached) {
		return err
	}
	return s.remote.CloseWrite()
}

// followSize keeps the process's terminal as large as ours, from now on until
// ctx ends.
func (c *CLI) followSize(ctx context.Context, resize func(ctx context.Context, rows, columns uint) error) {
	if _, ok := terminal(c.out); !ok {
		return
	}
	// Watch first: a change in between would be missed.
	watchSize(ctx, c.out, func(rows, columns uint) { _ = resize(ctx, rows, columns) })
	if rows, columns := size(c.out); rows > 0 {
		_ = resize(ctx, rows, columns) // a wrong size is no reason to fail
	}
}
