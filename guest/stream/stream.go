//go:build linux

// Package stream connects the standard streams of processes to the host, one
// vsock connection a stream.
package stream

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mdlayher/vsock"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
)

const (
	// buffer is the size of the pieces in which data is moved: what a pipe
	// holds (pipe(7)).
	buffer = 64 << 10
	// closeTimeout bounds how long the host may take to close a stream whose
	// end it has been told.
	closeTimeout = 10 * time.Second
)

// Dial opens the stream that the host knows by this number.
func Dial(ctx context.Context, id uint64) (*vsock.Conn, error) {
	c, err := vsock.DialContext(ctx, vsock.Host, api.StreamPort, nil)
	if err != nil {
		return nil, fmt.Errorf("open stream to the host: %w", err)
	}
	if err := api.WriteStreamID(c, id); err != nil {
		c.Close()
		return nil, fmt.Errorf("open stream to the host: %w", err)
	}
	return c, nil
}

// Pipe makes a pipe for a process's standard stream: the process's end blocks,
// as programs expect, and ours does not, as the runtime's poller expects.
func Pipe(input bool) (ours, theirs *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("make pipe: %w", err)
	}
	our, their := fds[0], fds[1]
	if input {
		our, their = their, our
	}
	if err := unix.SetNonblock(our, true); err != nil {
		unix.Close(our)
		unix.Close(their)
		return nil, nil, fmt.Errorf("make pipe: %w", err)
	}
	return os.NewFile(uintptr(our), "pipe"), os.NewFile(uintptr(their), "pipe"), nil
}

// Out copies a process's output to the host until it ends, or until the host
// no longer wants it, and then closes both in order: the host gets all that was
// written. (A reset would read as the end on the other side too, and lose what
// was under way.)
func Out(to *vsock.Conn, from *os.File) {
	defer to.Close()
	closed := make(chan struct{})
	go func() {
		io.Copy(io.Discard, to) // nothing is expected but the end
		from.Close()
		close(closed)
	}()
	// A terminal's master reads EIO once all its slaves are closed; both that
	// and the end of a pipe are the end.
	io.CopyBuffer(plainWriter{to}, plainReader{from}, make([]byte, buffer))
	to.CloseWrite()
	to.SetReadDeadline(time.Now().Add(closeTimeout))
	<-closed
}

// Discard reads a terminal's output until it ends, and closes it.
func Discard(from *os.File) {
	defer from.Close()
	io.Copy(io.Discard, from)
}

// In copies the host's input to a process until either ends. The write end of
// a pipe is closed with it; a terminal is left open.
func In(to *os.File, from *vsock.Conn, closeTo bool) {
	defer from.Close()
	if closeTo {
		defer to.Close()
	}
	io.CopyBuffer(plainWriter{to}, plainReader{from}, make([]byte, buffer))
}

// plainWriter and plainReader hide methods that would make io.CopyBuffer ignore
// its buffer.
type plainWriter struct{ io.Writer }
type plainReader struct{ io.Reader }
