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
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"

	"github.com/skerry-app/skerry/engine"
)

// testTimeout ends a test that hangs; nothing passes because of it.
const testTimeout = 20 * time.Second

// serve runs a server with the given handlers, beside the real routes, on a
// real socket and returns that socket's path. The server has no engine.
func serve(t *testing.T, o Options, handlers map[string]func(*Server) handlerFunc) (path string, stop func() error) {
	t.Helper()
	s := New(nil, o)
	mux := http.NewServeMux()
	mux.Handle("/", s.routes())
	for pattern, h := range handlers {
		mux.Handle(pattern, s.handle(h(s)))
	}
	s.handler = s.wrap(mux)
	path = filepath.Join(shortDir(t), "d.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.serve(ctx, l) }()
	stop = func() error {
		cancel()
		select {
		case err := <-ended:
			ended <- err
			return err
		case <-time.After(testTimeout):
			return errors.New("the server does not end")
		}
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return path, stop
}

// shortDir is a directory whose path leaves room for a socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "api")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func dial(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(testTimeout)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.UnixConn)
}

// upgrade asks for a session and returns the answer's head and the connection.
func upgrade(t *testing.T, path, target, with string) (*http.Response, *bufio.Reader, *net.UnixConn) {
	t.Helper()
	conn := dial(t, path)
	// The first input comes in the same packet as the request.
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n%s", target, with)
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp, br, conn
}

// echo is a session whose process writes its input to both outputs once the
// input has ended.
func echo(tty bool) func(*Server) handlerFunc {
	return func(s *Server) handlerFunc {
		return func(w http.ResponseWriter, r *http.Request) error {
			se, err := s.hijack(w, r, tty)
			if err != nil {
				return err
			}
			defer s.end(se)
			go func() {
				time.Sleep(10 * time.Millisecond) // output is ready before the answer is
				se.accept()
			}()
			fmt.Fprint(se.out, "hello ")
			input, err := io.ReadAll(se.input)
			fmt.Fprintf(se.out, "%s", input)
			fmt.Fprintf(se.errOut, "%d %v", len(input), err)
			return nil
		}
	}
}

// The end of the client's input reaches the process while its output goes on.
func TestSessionHalfClose(t *testing.T) {
	path, _ := serve(t, Options{}, map[string]func(*Server) handlerFunc{"POST /mux": echo(false), "POST /tty": echo(true)})
	for _, tt := range []struct{ target, contentType, stdout, stderr string }{
		{"/v1.50/mux", "application/vnd.docker.multiplexed-stream", "hello early late", "10 <nil>"},
		{"/tty", "application/vnd.docker.raw-stream", "hello early late10 <nil>", ""},
	} {
		resp, br, conn := upgrade(t, path, tt.target, "early ")
		if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Content-Type") != tt.contentType || resp.Header.Get("Upgrade") != "tcp" || resp.Header.Get("Api-Version") == "" {
			t.Errorf("%s: got %s, %v", tt.target, resp.Status, resp.Header)
		}
		io.WriteString(conn, "late")
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		var err error
		if tt.stderr == "" {
			_, err = io.Copy(&stdout, br)
		} else {
			_, err = stdcopy.StdCopy(&stdout, &stderr, br)
		}
		if err != nil || stdout.String() != tt.stdout || stderr.String() != tt.stderr {
			t.Errorf("%s: got %q and %q, %v", tt.target, stdout.String(), stderr.String(), err)
		}
	}
}

func TestSessionWithoutUpgrade(t *testing.T) {
	path, _ := serve(t, Options{}, map[string]func(*Server) handlerFunc{"POST /tty": echo(true)})
	conn := dial(t, path)
	fmt.Fprint(conn, "POST /tty HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\nin")
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/vnd.docker.raw-stream" || string(body) != "hello in2 <nil>" {
		t.Errorf("got %s, %v, %q, %v", resp.Status, resp.Header, body, err)
	}
}

// A process that ends without having read its input: the client sees all of
// the output and its end, not a connection reset.
func TestSessionEndsWithInputUnread(t *testing.T) {
	path, _ := serve(t, Options{}, map[string]func(*Server) handlerFunc{"POST /deaf": func(s *Server) handlerFunc {
		return func(w http.ResponseWriter, r *http.Request) error {
			se, err := s.hijack(w, r, true)
			if err != nil {
				return err
			}
			defer s.end(se)
			se.accept()
			_, err = io.WriteString(se.out, "done")
			return err
		}
	}})
	_, br, conn := upgrade(t, path, "/deaf", strings.Repeat("unread", 1000))
	io.WriteString(conn, "more")
	if got, err := io.ReadAll(br); err != nil || string(got) != "done" {
		t.Errorf("got %q, %v", got, err)
	}
}

// A client that goes away is noticed though nothing is written to it, and one
// that has only ended its input is not taken for it.
func TestSessionNoticesHangup(t *testing.T) {
	ended, gone := make(chan struct{}), make(chan error, 1)
	path, _ := serve(t, Options{}, map[string]func(*Server) handlerFunc{"POST /silent": func(s *Server) handlerFunc {
		return func(w http.ResponseWriter, r *http.Request) error {
			se, err := s.hijack(w, r, true)
			if err != nil {
				return err
			}
			defer s.end(se)
			ctx, cancel := se.context(r.Context())
			defer cancel()
			se.accept()
			if _, err := io.Copy(io.Discard, se.input); err != nil {
				gone <- err
				return nil
			}
			close(ended)
			<-ctx.Done()
			gone <- r.Context().Err() // nil: it was the client, not the server
			return nil
		}
	}})
	_, _, conn := upgrade(t, path, "/silent", "")
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	<-ended
	select {
	case err := <-gone:
		t.Fatalf("half a close was taken for a whole one: %v", err)
	case <-time.After(50 * time.Millisecond): // a wrong answer comes at once
	}
	conn.Close()
	select {
	case err := <-gone:
		if err != nil {
			t.Errorf("got %v", err)
		}
	case <-time.After(testTimeout):
		t.Error("the client has gone and nobody noticed")
	}
}

func TestSessionReject(t *testing.T) {
	path, _ := serve(t, Options{}, map[string]func(*Server) handlerFunc{"POST /no": func(s *Server) handlerFunc {
		return func(w http.ResponseWriter, r *http.Request) error {
			se, err := s.hijack(w, r, true)
			if err != nil {
				return err
			}
			defer s.end(se)
			s.sessionEnded(r, se, errdefs.ErrConflict.WithMessage("no"))
			return nil
		}
	}})
	resp, _, _ := upgrade(t, path, "/no", "")
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusConflict || strings.TrimSpace(string(body)) != `{"message":"no"}` {
		t.Errorf("got %s, %q, %v", resp.Status, body, err)
	}
}

// The end of the server cuts sessions and streams that would go on for ever.
func TestShutdownCutsSessions(t *testing.T) {
	began := make(chan struct{}, 2)
	path, stop := serve(t, Options{}, map[string]func(*Server) handlerFunc{
		"POST /session": func(s *Server) handlerFunc {
			return func(w http.ResponseWriter, r *http.Request) error {
				se, err := s.hijack(w, r, true)
				if err != nil {
					return err
				}
				defer s.end(se)
				se.accept()
				began <- struct{}{}
				_, err = io.Copy(io.Discard, se.input)
				return err
			}
		},
		"GET /stream": func(s *Server) handlerFunc {
			return func(w http.ResponseWriter, r *http.Request) error {
				if err := newStream(w, "text/plain").start(); err != nil {
					return err
				}
				began <- struct{}{}
				<-r.Context().Done()
				return nil
			}
		},
	})
	_, session, _ := upgrade(t, path, "/session", "")
	stream := dial(t, path)
	fmt.Fprint(stream, "GET /stream HTTP/1.1\r\nHost: d\r\n\r\n")
	dial(t, path) // an idle connection
	<-began
	<-began
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]io.Reader{"session": session, "stream": stream} {
		if _, err := io.ReadAll(r); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: still open", name)
		}
	}
}

// The end of a client's input ends the session unless it ends the container's
// input as well.
func TestAttachedInput(t *testing.T) {
	for _, tt := range []struct {
		spec     engine.Spec
		input    string
		want     string
		detached bool
	}{
		{engine.Spec{OpenStdin: true, StdinOnce: true}, "a\x10\x11b", "a\x10\x11b", false},
		{engine.Spec{OpenStdin: true}, "ab", "ab", true},
		{engine.Spec{OpenStdin: true, StdinOnce: true, TTY: true}, "a\x10\x11b", "a", true},
		{engine.Spec{OpenStdin: true, StdinOnce: true, TTY: true}, "ab", "ab", true},
	} {
		r, w := io.Pipe()
		go func() {
			io.WriteString(w, tt.input)
			w.Close()
		}()
		detached := false
		got, err := io.ReadAll(attachedInput(&session{input: r}, tt.spec, defaultDetachKeys, func() { detached = true }))
		r.Close()
		if string(got) != tt.want || detached != tt.detached || err != nil && !errors.Is(err, errDetached) {
			t.Errorf("%+v: got %q, detached %v, %v", tt.spec, got, detached, err)
		}
	}
}
