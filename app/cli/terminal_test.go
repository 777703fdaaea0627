package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// openTerminal returns the two ends of a terminal of 24 rows and 80 columns:
// what the user sees, and what the command line has.
func openTerminal(t *testing.T) (user, own *os.File) {
	t.Helper()
	user, own, err := pty.Open()
	if err != nil {
		t.Skipf("no terminals to be had here: %v", err)
	}
	t.Cleanup(func() { user.Close(); own.Close() })
	setSize(t, own, 24, 80)
	return user, own
}

func setSize(t *testing.T, own *os.File, rows, columns uint16) {
	t.Helper()
	if err := pty.Setsize(own, &pty.Winsize{Rows: rows, Cols: columns}); err != nil {
		t.Fatal(err)
	}
}

// settings are a terminal's, as text to be compared.
func settings(t *testing.T, own *os.File) string {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(own.Fd()), getTermios)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%+v", *state)
}

// TestTerminal runs a session on a terminal: the container hears of its size
// and of its change, gets every key as it is, and the keys that detach bring
// the terminal back as it was.
func TestTerminal(t *testing.T) {
	a := newApp(t)
	user, own := openTerminal(t)
	before := settings(t, own)
	sizes := make(chan string, 10)
	resize := func(w http.ResponseWriter, r *http.Request) {
		sizes <- r.URL.Query().Get("h") + "x" + r.URL.Query().Get("w")
	}
	a.mux.HandleFunc("POST /containers/c1/resize", resize)
	a.on("POST /containers/create", 201, `{"Id":"c1"}`)
	a.on("POST /containers/c1/start", 204, "")
	a.wait(nil, 0)
	a.onAttach("POST /containers/c1/attach", true, func(conn *net.UnixConn, in io.Reader) {
		if got := <-sizes; got != "24x80" {
			t.Errorf("first size %s", got)
		}
		setSize(t, own, 30, 100)
		syscall.Kill(os.Getpid(), syscall.SIGWINCH)
		if got := <-sizes; got != "30x100" {
			t.Errorf("second size %s", got)
		}
		if settings(t, own) == before {
			t.Error("the terminal is not raw")
		}
		io.WriteString(conn, "prompt\r\n")
		if got := readN(user, len("prompt\r\n")); got != "prompt\r\n" {
			t.Errorf("the user saw %q", got)
		}
		user.WriteString("a\x03\x10b\x10") // Ctrl-C, and half of the keys that detach
		if got := readN(in, 4); got != "a\x03\x10b" {
			t.Errorf("got %q", got)
		}
		user.WriteString("\x11")
		io.Copy(io.Discard, in)
	})
	var errOut bytes.Buffer
	status := New(Options{Stdin: own, Stdout: own, Stderr: &errOut}).Run(t.Context(), []string{"run", "-it", "alpine"})
	if status != 0 || errOut.String() != "" {
		t.Errorf("status %d, %s", status, errOut.String())
	}
	if settings(t, own) != before {
		t.Error("the terminal is not as it was")
	}
	if body := a.body("POST /containers/create"); !strings.Contains(body, `"ConsoleSize":[24,80]`) {
		t.Error(body)
	}
}

func readN(r io.Reader, n int) string {
	text := make([]byte, n)
	n, err := io.ReadFull(r, text)
	if err != nil {
		return fmt.Sprintf("%q and %v", text[:n], err)
	}
	return string(text)
}

// TestTerminalComesBack: also when the session breaks.
func TestTerminalComesBack(t *testing.T) {
	a := newApp(t)
	_, own := openTerminal(t)
	before := settings(t, own)
	a.on("POST /containers/create", 201, `{"Id":"c1"}`)
	a.on("POST /containers/c1/start", 500, `{"message":"no machine"}`)
	a.wait(nil, 0)
	a.onAttach("POST /containers/c1/attach", true, func(conn *net.UnixConn, in io.Reader) { io.Copy(io.Discard, in) })
	var errOut bytes.Buffer
	status := New(Options{Stdin: own, Stdout: own, Stderr: &errOut}).Run(t.Context(), []string{"run", "-it", "alpine"})
	if status != exitSkerry || errOut.String() != "skerry: no machine\n" {
		t.Errorf("status %d, %s", status, errOut.String())
	}
	if settings(t, own) != before {
		t.Error("the terminal is not as it was")
	}
	raw, err := makeRaw(own)
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() != "oops" {
				t.Error("the panic was swallowed")
			}
		}()
		defer raw.guard()
		panic("oops")
	}()
	if settings(t, own) != before {
		t.Error("the terminal is not as it was after a panic")
	}
}

// TestNoTerminal has docker's rules: -t alone needs none.
func TestNoTerminal(t *testing.T) {
	a := newApp(t)
	skerry(t, "", "run", "-it", "alpine").want(t, exitSkerry, "", "skerry: the input device is not a TTY…")
	if len(a.asked()) > 0 {
		t.Errorf("asked %q", a.asked())
	}
	a.on("POST /containers/create", 201, `{"Id":"c1"}`)
	a.on("POST /containers/c1/start", 204, "")
	ended := make(chan struct{})
	a.onAttach("POST /containers/c1/attach", true, func(conn *net.UnixConn, _ io.Reader) {
		io.WriteString(conn, "raw\r\n")
		close(ended)
	})
	a.wait(ended, 0)
	skerry(t, "", "run", "-t", "alpine").want(t, 0, "raw\r\n", "")
}

func TestDetachReader(t *testing.T) {
	for _, test := range []struct {
		in, out string
		err     error
	}{
		{"plain", "plain", io.EOF},
		{"ab\x10\x11cd", "ab", errDetached},
		{"a\x10b\x10\x10\x11", "a\x10b\x10", errDetached},
		{"a\x11\x10", "a\x11\x10", io.EOF},
		{"", "", io.EOF},
	} {
		for name, in := range map[string]io.Reader{
			"whole": strings.NewReader(test.in), "bytes": iotest.OneByteReader(strings.NewReader(test.in)),
			"data with error": iotest.DataErrReader(strings.NewReader(test.in)),
		} {
			r := &detachReader{source: in, keys: []byte{16, 17}}
			var out []byte
			var err error
			for buffer := make([]byte, 3); err == nil; {
				var n int
				n, err = r.Read(buffer)
				out = append(out, buffer[:n]...)
			}
			if string(out) != test.out || !errors.Is(err, test.err) {
				t.Errorf("%s, %q: %q, %v", name, test.in, out, err)
			}
		}
	}
}

// TestBars draws a pull on a terminal.
func TestBars(t *testing.T) {
	a := newApp(t)
	user, own := openTerminal(t)
	a.on("POST /images/create", 200, `{"status":"Pulling from library/alpine","id":"latest"}
{"status":"Downloading","id":"abc","progressDetail":{"current":500,"total":1000}}
{"status":"Pull complete","id":"abc"}
{"status":"Status: Downloaded newer image"}
`)
	var seen bytes.Buffer
	done := make(chan struct{})
	go func() { defer close(done); io.Copy(&seen, user) }()
	var out bytes.Buffer
	status := New(Options{Stdin: strings.NewReader(""), Stdout: &out, Stderr: own}).Run(t.Context(), []string{"pull", "alpine"})
	own.Close() // the user's end reads to the end, and then fails or ends
	<-done
	if status != 0 || out.String() != "docker.io/library/alpine:latest\n" {
		t.Errorf("status %d, %q", status, out.String())
	}
	for _, part := range []string{"abc", "Pull complete", "Status: Downloaded newer image"} {
		if !strings.Contains(seen.String(), part) {
			t.Errorf("no %q in %q", part, seen.String())
		}
	}
	if slices.Contains(a.asked(), "GET /_ping") {
		t.Error("a needless request")
	}
}
