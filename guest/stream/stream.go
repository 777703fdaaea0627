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
	// buffer is the size of the pieces in which data is moved.
	buffer = 256 << 10
	// pipeSize is asked of pipes, so that a process is not woken for every 64
	// KiB.
	pipeSize = 1 << 20
	// closeTimeout bounds how long the host may take to close a stream whose
	// end it has been told.
	closeTimeout = 10 * time.Second
)

// Dial opens the stream that the host knows by this number.
func Dial(_ context.Context, id uint64) (*vsock.Conn, error) {
	c, err := vsock.Dial(vsock.Host, api.StreamPort, nil)
	if err != nil {
		return nil, fmt.Errorf("open stream to the host: %w", err)
	}
	if err := api.WriteStreamID(c, id); err != nil {
		c.Close()
		return nil, fmt.Errorf("open stream to the host: %w", err)
	}
	return c, nil
}

// Pipe makes a pipe of a good size.
func Pipe() (r, w *os.File, err error) {
	if r, w, err = os.Pipe(); err != nil {
		return nil, nil, fmt.Errorf("make pipe: %w", err)
	}
	raw, err := w.SyscallConn()
	if err == nil {
		raw.Control(func(fd uintptr) { unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) }) // only a wish
	}
	return r, w, nil
}

// Out copies a process's output to the host until it ends and then closes both
// in order: the host gets all that was written. (A reset would read as the end
// on the other side too, and lose what was under way.)
func Out(to *vsock.Conn, from *os.File) {
	defer to.Close()
	defer from.Close()
	io.CopyBuffer(plainWriter{to}, plainReader{from}, make([]byte, buffer))
	// A terminal's master reads EIO once all its slaves are closed; both that
	// and the end of a pipe are the end.
	to.CloseWrite()
	to.SetReadDeadline(time.Now().Add(closeTimeout))
	io.Copy(io.Discard, to)
}

// In copies the host's input to a process until either ends. The write end of
// a pipe is closed with it; a terminal is left open.
func In(to *os.File, from *vsock.Conn, closeTo bool) {
	defer from.Close()
	if closeTo {
		defer to.Close()
	}
	if _, err := io.CopyBuffer(plainWriter{to}, plainReader{from}, make([]byte, buffer)); err != nil {
		from.CloseRead() // the process no longer reads: let the host know
	}
}

// plainWriter and plainReader hide methods that would make io.CopyBuffer ignore
// its buffer.
type plainWriter struct{ io.Writer }
type plainReader struct{ io.Reader }
