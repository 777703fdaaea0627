package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
	"time"

	"github.com/containers/image/v5/docker"
)

const (
	// answerTimeout bounds the wait for a manifest, with all that comes before
	// it: connection, TLS, token.
	answerTimeout = 2 * time.Minute
	// stallTimeout bounds the wait for the next byte of a blob.
	stallTimeout = time.Minute
	// maxAttempts is how often a request that fails for a passing reason is made.
	maxAttempts = 4
	// firstPause is the time before the second attempt; it doubles.
	firstPause = 500 * time.Millisecond
)

// errStalled means that a registry has the connection open and sends nothing.
var errStalled = errors.New("the registry stopped sending")

// errShort means that a blob ended before its end.
var errShort = errors.New("the connection ended early")

// retry repeats what fails for a reason that may pass by itself.
func (p patience) retry(ctx context.Context, do func(context.Context) error) error {
	pause := p.pause
	for attempt := 1; ; attempt++ {
		err := do(ctx)
		if err == nil || ctx.Err() != nil || attempt == p.attempts || !passes(err) {
			if err != nil && attempt > 1 {
				return fmt.Errorf("%w (after %d attempts)", err, attempt)
			}
			return err
		}
		select {
		case <-time.After(pause + rand.N(pause/2+1)):
			pause *= 2
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// passes tells whether an error may be gone at the next attempt: an answer of
// the 5xx kind, or a connection that broke. A registry where nobody listens, a
// name without an address and any answer of the 4xx kind do not pass.
func passes(err error) bool {
	var status docker.UnexpectedHTTPStatusError
	if errors.As(err, &status) {
		return status.StatusCode >= 500
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return false
	}
	for _, broken := range []error{syscall.ECONNRESET, syscall.EPIPE, io.ErrUnexpectedEOF, io.EOF, errStalled, errShort} {
		if errors.Is(err, broken) {
			return true
		}
	}
	return false
}

// watchdog cancels a context with errStalled when nobody feeds it in time.
func watchdog(ctx context.Context, patience time.Duration) (watched context.Context, feed func(), stop func()) {
	watched, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(patience, func() { cancel(errStalled) })
	return watched, func() { timer.Reset(patience) }, func() { timer.Stop(); cancel(nil) }
}

// stalled says of an error that it was the watchdog's doing.
func stalled(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		return errStalled
	}
	return err
}
