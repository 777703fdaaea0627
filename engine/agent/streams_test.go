package agent

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/api/reason"
)

// bound is what an answer may take before the test fails.
const bound = 10 * time.Second

// tcpListener stands for a machine's: its connections are vm.Conns too.
func tcpListener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func dial(t *testing.T, l net.Listener, id uint64) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err == nil {
		err = api.WriteStreamID(c, id)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(bound))
	t.Cleanup(func() { c.Close() })
	return c
}

func wantClosed(t *testing.T, what string, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s: read %d bytes, %v; want it closed", what, n, err)
	}
}

func TestStreams(t *testing.T) {
	l := tcpListener(t)
	s := acceptStreams(l)
	defer s.close()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()

	e := s.expect()
	theirs := dial(t, l, e.id)
	ours, err := e.wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	io.WriteString(ours, "hello")
	b := make([]byte, 5)
	if _, err := io.ReadFull(theirs, b); err != nil || string(b) != "hello" {
		t.Errorf("over the stream: %q %v", b, err)
	}
	wantClosed(t, "a number used twice", dial(t, l, e.id))
	wantClosed(t, "a number that nobody gave", dial(t, l, 1))

	gone := s.expect()
	gone.cancel()
	wantClosed(t, "a stream that is no longer expected", dial(t, l, gone.id))

	unwanted := s.expect()
	late := dial(t, l, unwanted.id)
	for len(unwanted.conn) == 0 && ctx.Err() == nil { // until it has come
		time.Sleep(time.Millisecond)
	}
	unwanted.cancel()
	wantClosed(t, "a stream that nobody waited for", late)

	never := s.expect()
	short, stop := context.WithCancelCause(ctx)
	cause := errors.New("enough")
	stop(cause)
	if _, err := never.wait(short); !errors.Is(err, cause) {
		t.Errorf("a stream that does not come: %v", err)
	}
}

func TestPlain(t *testing.T) {
	detailed, err := status.New(codes.FailedPrecondition, "no such program").WithDetails(
		&errdetails.ErrorInfo{Domain: "another", Reason: "X"}, &errdetails.ErrorInfo{Domain: reason.Domain, Reason: reason.NotFound})
	if err != nil {
		t.Fatal(err)
	}
	var se *StartError
	if got := plain(detailed.Err()); !errors.As(got, &se) || se.Reason != reason.NotFound || got.Error() != "no such program" {
		t.Errorf("with a reason: %#v", got)
	}
	if got := plain(status.Error(codes.FailedPrecondition, "it still runs")); errors.As(got, &se) || got.Error() != "it still runs" {
		t.Errorf("without a reason: %#v", got)
	}
	if got := plain(status.Error(codes.Canceled, "x")); !errors.Is(got, context.Canceled) {
		t.Errorf("canceled: %v", got)
	}
	if got := plain(status.Error(codes.DeadlineExceeded, "x")); !errors.Is(got, context.DeadlineExceeded) {
		t.Errorf("too late: %v", got)
	}
	if plain(nil) != nil {
		t.Error("no error became one")
	}
}
