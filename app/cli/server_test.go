package cli

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/skerry-app/skerry/app/home"
)

// app is what the command line talks to in tests: a server on a real socket
// that answers what a test says and records what it was asked.
type app struct {
	*testing.T
	home home.Dir
	mux  *http.ServeMux

	mu       sync.Mutex
	requests []string // "POST /containers/create?name=x", without the version
	bodies   map[string]string
}

const versionPrefix = "/v" + apiVersion

// newHome makes a short SKERRY_HOME: t.TempDir's may be too long for a socket.
func newHome(t *testing.T) home.Dir {
	t.Helper()
	dir, err := os.MkdirTemp("", "skerry")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv(home.Variable, dir)
	return home.Dir(dir)
}

func newApp(t *testing.T) *app {
	t.Helper()
	a := &app{T: t, home: newHome(t), mux: http.NewServeMux(), bodies: map[string]string{}}
	if err := os.MkdirAll(a.home.Run(), 0o700); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", a.home.Socket())
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(a.serve)}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return a
}

func (a *app) serve(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, versionPrefix)
	if path == r.URL.Path && !strings.HasPrefix(path, "/skerry/") {
		a.Errorf("%s has not version %s", path, apiVersion)
	}
	asked := r.Method + " " + path
	if r.URL.RawQuery != "" {
		asked += "?" + r.URL.Query().Encode()
	}
	var body []byte
	if r.ContentLength > 0 || r.Header.Get("Upgrade") == "" {
		body, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	a.mu.Lock()
	a.requests = append(a.requests, asked)
	a.bodies[r.Method+" "+path] = string(body)
	a.mu.Unlock()
	r.URL.Path = path
	a.mux.ServeHTTP(w, r)
}

// asked are the requests so far.
func (a *app) asked() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.requests...)
}

func (a *app) body(request string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bodies[request]
}

// on answers requests for a pattern of net/http with a status and a body;
// a body that begins with { or [ is JSON.
func (a *app) on(pattern string, status int, body string) {
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
		if strings.HasPrefix(body, "{") || strings.HasPrefix(body, "[") {
			w.Header().Set("Content-Type", "application/json")
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}

// onAttach answers an upgrade and hands the connection over.
func (a *app) onAttach(pattern string, tty bool, talk func(conn *net.UnixConn, in io.Reader)) {
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			a.Error(err)
			return
		}
		defer conn.Close()
		media := "application/vnd.docker.multiplexed-stream"
		if tty {
			media = "application/vnd.docker.raw-stream"
		}
		fmt.Fprintf(conn, "HTTP/1.1 101 UPGRADED\r\nContent-Type: %s\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n", media)
		talk(conn.(*net.UnixConn), buffered)
	})
}

// frame writes to one of the multiplexed streams, 1 or 2.
func frame(w io.Writer, stream byte, text string) {
	header := make([]byte, 8, 8+len(text))
	header[0] = stream
	binary.BigEndian.PutUint32(header[4:], uint32(len(text)))
	w.Write(append(header, text...))
}

// result is what a command line did.
type result struct {
	status   int
	out, err string
}

// skerry runs a command line with in on stdin.
func skerry(t *testing.T, in string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	status := New(Options{Version: "1.2.3", Stdin: strings.NewReader(in), Stdout: &out, Stderr: &errOut}).Run(t.Context(), args)
	return result{status, out.String(), errOut.String()}
}

// want compares; an err that ends with … only has to begin so.
func (r result) want(t *testing.T, status int, out, errOut string) {
	t.Helper()
	if r.status != status || r.out != out {
		t.Errorf("status %d, stdout %q; want %d, %q (stderr %q)", r.status, r.out, status, out, r.err)
	}
	if begin, ok := strings.CutSuffix(errOut, "…"); ok {
		if !strings.HasPrefix(r.err, begin) {
			t.Errorf("stderr %q; want %q", r.err, errOut)
		}
	} else if r.err != errOut {
		t.Errorf("stderr %q; want %q", r.err, errOut)
	}
}
