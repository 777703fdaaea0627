//go:build linux

package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skerry-app/skerry/guest/api/reason"
	"github.com/skerry-app/skerry/guest/launch"
	"github.com/skerry-app/skerry/guest/process"
)

func TestErrno(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, refused := net.Dial("tcp", l.Addr().String())
	for want, err := range map[syscall.Errno]error{
		syscall.ECONNREFUSED: refused,
		syscall.ETIMEDOUT:    &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded},
		syscall.EHOSTUNREACH: fmt.Errorf("dial: %w", syscall.EHOSTUNREACH),
	} {
		if got := errno(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
	if got := errno(errors.New("odd")); got == 0 {
		t.Error("a failure counts as success")
	}
}

// TestFailed wants the host to be told what kind of failure it is, and its
// reason where the process itself is at fault.
func TestFailed(t *testing.T) {
	for _, test := range []struct {
		err    error
		code   codes.Code
		reason string
	}{
		{&launch.Error{Reason: reason.User, Err: errors.New("x")}, codes.FailedPrecondition, reason.User},
		{fmt.Errorf("more: %w", &launch.Error{Reason: reason.NotFound, Err: errors.New("x")}), codes.FailedPrecondition, reason.NotFound},
		{fmt.Errorf("x: %w", process.ErrUnknown), codes.NotFound, ""},
		{fmt.Errorf("x: %w", process.ErrInvalid), codes.InvalidArgument, ""},
		{fmt.Errorf("x: %w", process.ErrRunning), codes.FailedPrecondition, ""},
		{context.DeadlineExceeded, codes.DeadlineExceeded, ""},
		{errors.New("x"), codes.Internal, ""},
	} {
		st := status.Convert(failed(test.err))
		got := ""
		for _, d := range st.Details() {
			if info, ok := d.(*errdetails.ErrorInfo); ok && info.Domain == reason.Domain {
				got = info.Reason
			}
		}
		if st.Code() != test.code || got != test.reason || st.Message() != test.err.Error() {
			t.Errorf("%v: %v %q %q", test.err, st.Code(), got, st.Message())
		}
	}
}
