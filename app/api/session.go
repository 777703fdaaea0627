package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types"
	"golang.org/x/sys/unix"
)

// lingerTimeout bounds how long a client may take to close a session after
// its output has ended.
const lingerTimeout = 2 * time.Second

// session is a connection taken over from HTTP: from the client its input, to
// the client output, raw from a terminal and in frames otherwise.
type session struct {
	conn        net.Conn
	in          io.Reader     // what came together with the request, then conn
	greeting    []byte        // the answer's headers
	ready       chan struct{} // closed once they are sent, output comes after them
	readyOnce   sync.Once
	input       *io.PipeReader
	gone        chan struct{} // closed when the client has gone or the session has ended
	out, errOut io.Writer
}

// hijack takes over the connection of a request. The answer is not sent
// before accept.
func (s *Server) hijack(w http.ResponseWriter, r *http.Request, tty bool) (*session, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("take over the connection: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return nil, errdefs.ErrUnavailable.WithMessage("the app is stopping")
	}
	se := newSession(conn, buffered.Reader, tty)
	se.greeting = greeting(r, w.Header(), tty)
	s.sessions[se] = struct{}{}
	s.live.Add(1)
	return se, nil
}

func newSession(conn net.Conn, in *bufio.Reader, tty bool) *session {
	// Reading on through net/http's buffer would cancel the request with the
	// end of the input.
	early, _ := in.Peek(in.Buffered())
	se := &session{conn: conn, in: io.MultiReader(bytes.NewReader(bytes.Clone(early)), conn), ready: make(chan struct{}), gone: make(chan struct{})}
	raw := gatedWriter{se}
	se.out, se.errOut = raw, raw
	if !tty {
		var mu sync.Mutex
		se.out, se.errOut = frames{raw, &mu, stdcopyStdout}, frames{raw, &mu, stdcopyStderr}
	}
	var pipe *io.PipeWriter
	se.input, pipe = io.Pipe()
	go se.receive(pipe)
	return se
}

// greeting is the answer to a request that asks for a session, by Upgrade or in
// the older way.
func greeting(r *http.Request, h http.Header, tty bool) []byte {
	var b bytes.Buffer
	if r.Header.Get("Upgrade") == "" {
		fmt.Fprintf(&b, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n", types.MediaTypeRawStream)
	} else {
		contentType := types.MediaTypeRawStream
		if !tty {
			contentType = types.MediaTypeMultiplexedStream
		}
		fmt.Fprintf(&b, "HTTP/1.1 101 UPGRADED\r\nContent-Type: %s\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n", contentType)
	}
	_ = h.Write(&b) // into memory
	b.WriteString("\r\n")
	return b.Bytes()
}

// accept sends the answer and lets output pass.
func (se *session) accept() {
	se.readyOnce.Do(func() {
		_, _ = se.conn.Write(se.greeting) // a client that has gone shows when output is written
		close(se.ready)
	})
}

// reject sends an error instead.
func (se *session) reject(err error) {
	se.readyOnce.Do(func() {
		body := &bytes.Buffer{}
		w := &http.Response{StatusCode: status(err), ProtoMajor: 1, ProtoMinor: 1, Close: true, Header: http.Header{}}
		w.Header.Set("Content-Type", types.MediaTypeJSON)
		writeErrorBody(body, err)
		w.ContentLength, w.Body = int64(body.Len()), io.NopCloser(body)
		_ = w.Write(se.conn)
		close(se.ready)
	})
}

// accepted tells whether an answer has been sent.
func (se *session) accepted() bool {
	select {
	case <-se.ready:
		return true
	default:
		return false
	}
}

// receive hands on what the client sends, up to its end, and then waits for the
// client to go. What nobody takes is thrown away.
func (se *session) receive(to *io.PipeWriter) {
	defer close(se.gone)
	_, err := io.Copy(to, se.in)
	to.CloseWithError(err) // nil: the end
	if errors.Is(err, io.ErrClosedPipe) {
		_, err = io.Copy(io.Discard, se.in)
	}
	if err == nil {
		waitHangup(se.conn)
	}
}

// waitHangup waits until the other end of a connection, which has shut down
// its writing side, is closed altogether, or conn is.
func waitHangup(conn net.Conn) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	// The function is called again whenever the state of the socket changes.
	_ = raw.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		// POLLHUP means that neither direction is left: poll(2).
		_, err := unix.Poll(p, 0)
		return err != nil && !errors.Is(err, unix.EINTR) || p[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
	})
}

// end tells the client that nothing more comes and closes the connection when
// the client has, or soon. A unix socket that is closed with input unread would
// give the client an error instead of the end.
func (s *Server) end(se *session) {
	se.readyOnce.Do(func() { close(se.ready) })
	se.input.Close()
	if c, ok := se.conn.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
		timer := time.NewTimer(lingerTimeout)
		defer timer.Stop()
		select {
		case <-se.gone:
		case <-timer.C:
		}
	}
	se.conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, se)
	s.live.Done()
}

// closeSessions cuts all sessions, and those to come.
func (s *Server) closeSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for se := range s.sessions {
		se.conn.Close()
	}
}

// waitSessions waits until the handlers of all sessions have returned.
func (s *Server) waitSessions(ctx context.Context) error {
	none := make(chan struct{})
	go func() {
		s.live.Wait()
		close(none)
	}()
	select {
	case <-none:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("sessions are still there: %w", ctx.Err())
	}
}

// gatedWriter writes to the client once the answer's headers are out.
type gatedWriter struct{ se *session }

func (g gatedWriter) Write(p []byte) (int, error) {
	<-g.se.ready
	return g.se.conn.Write(p)
}
