package vz

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/skerry-app/skerry/engine/vm"
)

var errReset = errors.New("connection reset by peer")

// tries answers one try after the other; the last answer is for all that follow.
func tries(answers ...func(context.Context) (vm.Conn, error)) func(context.Context, uint32) (vm.Conn, error) {
	return func(ctx context.Context, _ uint32) (vm.Conn, error) {
		answer := answers[0]
		if len(answers) > 1 {
			answers = answers[1:]
		}
		return answer(ctx)
	}
}

func TestDial(t *testing.T) {
	up, down := func() bool { return true }, func() bool { return false }
	conn := &net.UnixConn{}
	refuse := func(context.Context) (vm.Conn, error) { return nil, errReset }
	accept := func(context.Context) (vm.Conn, error) { return conn, nil }
	never := func(ctx context.Context) (vm.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
	gone := make(chan struct{})
	close(gone)
	cancelled, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("changed my mind"))

	for name, test := range map[string]struct {
		ctx   context.Context
		guest guest
		want  error
	}{
		"accepted":                   {t.Context(), guest{up: up, connect: tries(accept)}, nil},
		"refused until it is up":     {t.Context(), guest{up: down, connect: tries(refuse, refuse, accept)}, nil},
		"nobody listens":             {t.Context(), guest{up: up, connect: tries(refuse, accept)}, syscall.ECONNREFUSED},
		"no answer is not a refusal": {t.Context(), guest{up: up, connect: tries(never, accept)}, nil},
		"ended":                      {t.Context(), guest{up: up, gone: gone, connect: tries(accept)}, net.ErrClosed},
		"cancelled":                  {cancelled, guest{up: down, connect: tries(refuse)}, context.Cause(cancelled)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := test.guest.dial(test.ctx, 1)
			if !errors.Is(err, test.want) || (err == nil) != (c != nil) {
				t.Errorf("got %v, %v; want %v", c, err, test.want)
			}
		})
	}
}
