package cli

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// container answers for one container, ID "c1", whose process says hello on
// both streams and exits with 3.
func (a *app) container() {
	a.on("POST /containers/create", 201, `{"Id":"c1","Warnings":["mind the gap"]}`)
	started := make(chan struct{})
	a.onAttach("POST /containers/c1/attach", false, func(conn *net.UnixConn, in io.Reader) {
		<-started
		frame(conn, 1, "hello\n")
		frame(conn, 2, "oh\n")
	})
	a.mux.HandleFunc("POST /containers/c1/start", func(w http.ResponseWriter, _ *http.Request) {
		close(started)
		w.WriteHeader(http.StatusNoContent)
	})
	a.wait(started, 3)
}

// wait answers with an exit status once the channel is closed. The header
// comes at once, as the API has it.
func (a *app) wait(end <-chan struct{}, status int) {
	a.mux.HandleFunc("POST /containers/c1/wait", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		select {
		case <-end:
			fmt.Fprintf(w, `{"StatusCode":%d}`, status)
		case <-r.Context().Done():
		}
	})
}

func TestRun(t *testing.T) {
	for _, test := range []struct {
		args []string
		want []string
	}{
		{[]string{"run", "alpine"}, []string{
			"POST /containers/create",
			"POST /containers/c1/attach?stderr=1&stdout=1&stream=1",
			"POST /containers/c1/wait?condition=next-exit",
			"POST /containers/c1/start"}},
		{[]string{"run", "--rm", "-i", "--name", "x", "alpine", "cat", "-n"}, []string{
			"POST /containers/create?name=x",
			"POST /containers/c1/attach?stderr=1&stdin=1&stdout=1&stream=1",
			"POST /containers/c1/wait?condition=removed",
			"POST /containers/c1/start"}},
	} {
		a := newApp(t)
		a.container()
		skerry(t, "", test.args...).want(t, 3, "hello\n", "warning: mind the gap\noh\n")
		if diff := cmp.Diff(test.want, a.asked()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.args, diff)
		}
	}
}

func TestRunDetached(t *testing.T) {
	a := newApp(t)
	a.container()
	file := filepath.Join(t.TempDir(), "cid")
	skerry(t, "", "run", "-d", "--cidfile", file, "alpine").want(t, 0, "c1\n", "warning: mind the gap\n")
	if id, err := os.ReadFile(file); string(id) != "c1" || err != nil {
		t.Errorf("cidfile %q, %v", id, err)
	}
	skerry(t, "", "run", "-d", "--cidfile", file, "alpine").want(t, exitSkerry, "", "skerry: the container ID file "+file+" exists already…")
	if diff := cmp.Diff([]string{"POST /containers/create", "POST /containers/c1/start"}, a.asked()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRunInput hands stdin on to its end, and only to its end, and gets it
// back through both streams.
func TestRunInput(t *testing.T) {
	a := newApp(t)
	a.on("POST /containers/create", 201, `{"Id":"c1"}`)
	a.on("POST /containers/c1/start", 204, "")
	ended := make(chan struct{})
	a.onAttach("POST /containers/c1/attach", false, func(conn *net.UnixConn, in io.Reader) {
		defer close(ended)
		all, err := io.ReadAll(in) // ends by the half-close
		if err != nil {
			t.Error(err)
		}
		for len(all) > 0 {
			part := all[:min(len(all), 100_000)]
			frame(conn, 1, string(part))
			frame(conn, 2, string(part))
			all = all[len(part):]
		}
	})
	a.wait(ended, 0)
	in := strings.Repeat("0123456789abcdef\x00\xff\r\n", 1<<20) // 20 MiB
	got := skerry(t, in, "run", "-i", "alpine", "cat")
	if got.status != 0 || got.out != in || got.err != in {
		t.Errorf("status %d, %d and %d of %d bytes", got.status, len(got.out), len(got.err), len(in))
	}
}

func TestRunPulls(t *testing.T) {
	stream := `{"status":"Pulling from library/alpine","id":"latest"}
{"status":"Downloading","id":"abc","progressDetail":{"current":1,"total":2}}
{"status":"Downloading","id":"abc","progressDetail":{"current":2,"total":2}}
{"status":"Pull complete","id":"abc"}
{"status":"Digest: sha256:\u001b[31m"}
`
	notHere := func(a *app, pulled *bool) {
		a.mux.HandleFunc("POST /containers/create", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if !*pulled {
				w.WriteHeader(404)
				io.WriteString(w, `{"message":"No such image: alpine:latest"}`)
				return
			}
			w.WriteHeader(201)
			io.WriteString(w, `{"Id":"c1"}`)
		})
		a.mux.HandleFunc("POST /images/create", func(w http.ResponseWriter, _ *http.Request) {
			*pulled = true
			io.WriteString(w, stream)
		})
		a.on("POST /containers/c1/start", 204, "")
	}
	shown := "latest: Pulling from library/alpine\nabc: Downloading\nabc: Pull complete\nDigest: sha256:?[31m\n"

	t.Run("missing", func(t *testing.T) {
		a, pulled := newApp(t), false
		notHere(a, &pulled)
		skerry(t, "", "run", "-d", "--platform", "linux/arm64", "alpine").want(t, 0, "c1\n", "alpine is not here yet; pulling it\n"+shown)
		if !slices.Contains(a.asked(), "POST /images/create?fromImage=docker.io%2Flibrary%2Falpine&platform=linux%2Farm64&tag=latest") {
			t.Errorf("asked %q", a.asked())
		}
	})
	t.Run("always", func(t *testing.T) {
		a, pulled := newApp(t), false
		notHere(a, &pulled)
		skerry(t, "", "run", "-d", "--pull", "always", "alpine").want(t, 0, "c1\n", shown)
	})
	t.Run("never", func(t *testing.T) {
		a, pulled := newApp(t), false
		notHere(a, &pulled)
		skerry(t, "", "run", "-d", "--pull", "never", "alpine").want(t, exitSkerry, "", "skerry: No such image: alpine:latest\n")
	})
	t.Run("pull", func(t *testing.T) {
		a, pulled := newApp(t), false
		notHere(a, &pulled)
		skerry(t, "", "pull", "alpine").want(t, 0, "docker.io/library/alpine:latest\n", shown)
		skerry(t, "", "pull", "-q", "alpine").want(t, 0, "docker.io/library/alpine:latest\n", "")
	})
	t.Run("fails", func(t *testing.T) {
		a := newApp(t)
		a.on("POST /containers/create", 404, `{"message":"No such image"}`)
		a.on("POST /images/create", 200, `{"errorDetail":{"message":"no route to registry"}}`)
		skerry(t, "", "run", "-d", "alpine").want(t, exitSkerry, "", "alpine is not here yet; pulling it\nskerry: no route to registry\n")
	})
}

func TestRunStartFails(t *testing.T) {
	for message, status := range map[string]int{
		"exec: nope: executable file not found in $PATH": exitNotFound,
		"exec: /nope: no such file or directory":         exitNotFound,
		"exec: /etc/passwd: permission denied":           exitNotExecutable,
		"exec: /etc: is a directory":                     exitNotExecutable,
		"the machine did not start":                      exitSkerry,
	} {
		a := newApp(t)
		a.on("POST /containers/create", 201, `{"Id":"c1"}`)
		a.on("POST /containers/c1/start", 400, fmt.Sprintf(`{"message":%q}`, message))
		a.onAttach("POST /containers/c1/attach", false, func(conn *net.UnixConn, in io.Reader) { io.Copy(io.Discard, in) })
		a.wait(nil, 0)
		for _, args := range [][]string{{"run", "x"}, {"run", "-d", "x"}} {
			skerry(t, "", args...).want(t, status, "", "skerry: "+message+"\n")
		}
	}
}

// TestSignals sends this process signals, which the container gets; one that
// comes in before it has started waits for it.
func TestSignals(t *testing.T) {
	a := newApp(t)
	a.on("POST /containers/create", 201, `{"Id":"c1"}`)
	killed := make(chan string)
	ended := make(chan struct{})
	a.onAttach("POST /containers/c1/attach", false, func(conn *net.UnixConn, in io.Reader) {
		syscall.Kill(os.Getpid(), syscall.SIGTERM) // before the start
		<-ended
	})
	a.mux.HandleFunc("POST /containers/c1/start", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	a.mux.HandleFunc("POST /containers/c1/kill", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNoContent)
		killed <- r.URL.Query().Get("signal")
	})
	a.wait(ended, 42)
	go func() {
		defer close(ended)
		if s := <-killed; s != "TERM" {
			t.Errorf("got %s, want TERM", s)
		}
		for _, s := range []struct {
			signal syscall.Signal
			name   string
		}{{syscall.SIGUSR1, "USR1"}, {syscall.SIGHUP, "HUP"}, {syscall.SIGINT, "INT"}} {
			syscall.Kill(os.Getpid(), syscall.SIGCHLD) // is not passed on
			syscall.Kill(os.Getpid(), s.signal)
			if got := <-killed; got != s.name {
				t.Errorf("got %s, want %s", got, s.name)
			}
		}
	}()
	skerry(t, "", "run", "alpine").want(t, 42, "", "")
}

// TestInsist: the third SIGINT leaves a container that does not react.
func TestInsist(t *testing.T) {
	a := newApp(t)
	a.on("POST /containers/create", 201, `{"Id":"c1"}`)
	a.on("POST /containers/c1/start", 204, "")
	a.onAttach("POST /containers/c1/attach", false, func(conn *net.UnixConn, in io.Reader) {
		syscall.Kill(os.Getpid(), syscall.SIGINT)
		io.Copy(io.Discard, in)
	})
	a.mux.HandleFunc("POST /containers/c1/kill", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
		syscall.Kill(os.Getpid(), syscall.SIGINT)
	})
	a.wait(nil, 0)
	skerry(t, "", "run", "alpine").want(t, exitInterrupted, "", "skerry: left at the third interrupt; the container goes on running\n")
}

// TestInterrupt ends a command that is no container's.
func TestInterrupt(t *testing.T) {
	a := newApp(t)
	a.mux.HandleFunc("GET /containers/json", func(_ http.ResponseWriter, r *http.Request) {
		syscall.Kill(os.Getpid(), syscall.SIGINT)
		<-r.Context().Done()
	})
	skerry(t, "", "ps").want(t, exitInterrupted, "", "")
}

func TestExec(t *testing.T) {
	a := newApp(t)
	a.on("POST /containers/web/exec", 201, `{"Id":"e1"}`)
	a.onAttach("POST /exec/e1/start", false, func(conn *net.UnixConn, in io.Reader) {
		text, _ := io.ReadAll(in)
		frame(conn, 1, strings.ToUpper(string(text)))
		frame(conn, 2, "note\n")
	})
	a.on("GET /exec/e1/json", 200, `{"ID":"e1","ExitCode":5}`)
	skerry(t, "abc", "exec", "-i", "-u", "me", "-w", "/x", "-e", "A=1", "web", "tr", "-d", "x").want(t, 5, "ABC", "note\n")
	want := `{"User":"me","Privileged":false,"Tty":false,"AttachStdin":true,"AttachStderr":true,"AttachStdout":true,"DetachKeys":"ctrl-p,ctrl-q","Env":["A=1"],"WorkingDir":"/x","Cmd":["tr","-d","x"]}`
	if got := strings.TrimSpace(a.body("POST /containers/web/exec")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	a.on("POST /containers/gone/exec", 404, `{"message":"No such container: gone"}`)
	skerry(t, "", "exec", "gone", "x").want(t, exitFailure, "", "skerry: No such container: gone\n")
	skerry(t, "", "exec", "-it", "web", "x").want(t, exitFailure, "", "skerry: the input device is not a TTY…")
}

func TestAttachAndStart(t *testing.T) {
	a := newApp(t)
	a.container()
	a.on("GET /containers/web/json", 200, `{"Id":"c1","State":{"Running":false},"Config":{"Tty":false,"OpenStdin":true},"HostConfig":{"AutoRemove":true}}`)
	skerry(t, "", "attach", "web").want(t, exitFailure, "", "skerry: container web is not running…")
	skerry(t, "", "start", "-a", "web").want(t, 3, "hello\n", "oh\n")
	if want := "POST /containers/c1/wait?condition=removed"; !slices.Contains(a.asked(), want) {
		t.Errorf("asked %q", a.asked())
	}
	skerry(t, "", "start", "-a", "web", "db").want(t, exitUsage, "", "skerry: only one container…")
}

// failingWriter stands for a full disk.
type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestOutputFails(t *testing.T) {
	a := newApp(t)
	a.container()
	var errOut bytes.Buffer
	status := New(Options{Stdin: strings.NewReader(""), Stdout: failingWriter{}, Stderr: &errOut}).Run(t.Context(), []string{"run", "alpine"})
	if status != exitSkerry || !strings.Contains(errOut.String(), "no space left on device") {
		t.Errorf("status %d, %s", status, errOut.String())
	}
}
