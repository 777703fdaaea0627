// Package tests boots real machines and looks at the whole system from outside:
// through the skerry command, the docker command and the API's socket.
package tests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// commandTimeout bounds every command of a test; machines are emulated and the
// host may be busy.
const commandTimeout = 3 * time.Minute

// program is the skerry that is tested.
func program(tb testing.TB) string {
	tb.Helper()
	path := os.Getenv("SKERRY_BIN")
	if path == "" {
		path = "../bin/skerry"
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := os.Stat(abs); err != nil {
		tb.Fatalf("%v: run make first, or set SKERRY_BIN", err)
	}
	return abs
}

// app is a running Skerry with a state directory of its own.
type app struct {
	tb   testing.TB
	home string
	tray bool // it shows one
	cmd  *exec.Cmd
	log  *lockedBuffer
	done chan error
}

// newHome makes a state directory with a path that is short enough for sockets.
func newHome(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "skerry")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// covers says, at the end of a test, which of Apple's scenarios it has shown.
func covers(t *testing.T, numbers ...int) {
	t.Helper()
	name, failed := "covers", t.Failed()
	for _, n := range numbers {
		name += fmt.Sprint(" ", n)
	}
	t.Run(name, func(t *testing.T) {
		if failed {
			t.Error("the test has failed before")
		}
	})
}

// startApp starts an app in a new home and stops it with the test, which then
// fails if anything is left of it.
func startApp(tb testing.TB) *app {
	tb.Helper()
	a := &app{tb: tb, home: newHome(tb)}
	a.start()
	tb.Cleanup(func() {
		a.stop()
		a.checkNothingLeft()
	})
	return a
}

func (a *app) start(env ...string) {
	a.tb.Helper()
	a.log = &lockedBuffer{}
	a.cmd = exec.Command(program(a.tb), "app")
	if !a.tray {
		a.cmd.Args = append(a.cmd.Args, "--headless")
	}
	a.cmd.Env = append(append(os.Environ(), "SKERRY_HOME="+a.home), env...)
	a.cmd.Stdout, a.cmd.Stderr = a.log, a.log
	if err := a.cmd.Start(); err != nil {
		a.tb.Fatal(err)
	}
	a.done = make(chan error, 1)
	go func() { a.done <- a.cmd.Wait() }()
	a.eventually("the app serves", func() error {
		select {
		case err := <-a.done:
			a.done <- err
			a.tb.Fatalf("the app ended: %v\n%s", err, a.log)
		default:
		}
		c, err := net.Dial("unix", a.socket())
		if err == nil {
			c.Close()
		}
		return err
	})
}

// stop asks the app to end, as log-out does.
func (a *app) stop() {
	a.tb.Helper()
	a.signal(syscall.SIGTERM)
}

// signal sends a signal to the app and waits for its end.
func (a *app) signal(sig os.Signal) {
	a.tb.Helper()
	a.cmd.Process.Signal(sig)
	select {
	case err := <-a.done:
		a.done <- err
	case <-time.After(commandTimeout):
		a.cmd.Process.Kill()
		a.tb.Fatalf("the app did not end after %v:\n%s", sig, a.log)
	}
}

func (a *app) socket() string { return filepath.Join(a.home, "run", "docker.sock") }

// checkNothingLeft fails the test when a process, socket, mount or temporary
// file of the app is still there.
func (a *app) checkNothingLeft() {
	a.tb.Helper()
	a.eventually("nothing of the app is left", func() error {
		return errors.Join(a.noProcess(), a.noMount(), a.noSocket(), a.noTemporaryFile())
	})
	if a.tb.Failed() {
		a.tb.Logf("the app's log:\n%s", a.log)
	}
}

// noProcess looks for processes that were given the home in their arguments or
// environment, other than tests.
func (a *app) noProcess() (err error) {
	for _, pid := range a.processes() {
		cmdline, _ := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
		err = errors.Join(err, fmt.Errorf("process %s is left: %.300q", pid, cmdline))
	}
	return err
}

// processes lists the pids of the app and of all that it started.
func (a *app) processes() (pids []string) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		a.tb.Fatal(err)
	}
	for _, e := range entries {
		if e.Name()[0] < '0' || e.Name()[0] > '9' {
			continue
		}
		var text []byte
		for _, file := range []string{"cmdline", "environ"} {
			b, _ := os.ReadFile(filepath.Join("/proc", e.Name(), file))
			text = append(text, b...)
		}
		if bytes.Contains(text, []byte(a.home)) {
			pids = append(pids, e.Name())
		}
	}
	return pids
}

// machines lists the pids of the app's virtual machines.
func (a *app) machines() (pids []string) {
	for _, pid := range a.processes() {
		name, _ := os.ReadFile(filepath.Join("/proc", pid, "comm"))
		if strings.HasPrefix(string(name), "qemu-system") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// onlyMachine is the process of the one machine that there is.
func (a *app) onlyMachine() (pid int) {
	a.tb.Helper()
	machines := a.machines()
	if len(machines) != 1 {
		a.tb.Fatalf("the machines are %v", machines)
	}
	pid, err := strconv.Atoi(machines[0])
	if err != nil {
		a.tb.Fatal(err)
	}
	return pid
}

func (a *app) noMount() error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err == nil && bytes.Contains(mounts, []byte(a.home)) {
		err = errors.New("a mount is left below " + a.home)
	}
	return err
}

func (a *app) noSocket() error {
	sockets, err := os.ReadFile("/proc/net/unix")
	if err == nil && bytes.Contains(sockets, []byte(a.home)) {
		err = errors.New("a socket is left below " + a.home)
	}
	return err
}

// noTemporaryFile looks for what is only there while something is under way.
func (a *app) noTemporaryFile() error {
	return filepath.WalkDir(a.home, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		inIngest := filepath.Base(filepath.Dir(path)) == "ingest"
		if strings.HasPrefix(name, ".tmp") || strings.HasPrefix(name, ".new-") || strings.HasPrefix(name, ".gone-") || inIngest {
			return fmt.Errorf("%s is left", path)
		}
		return nil
	})
}

// eventually waits, within bounds, until f gives no error.
func (a *app) eventually(what string, f func() error) {
	a.tb.Helper()
	var err error
	for end := time.Now().Add(commandTimeout); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	a.tb.Fatalf("%s: not in %v: %v\nthe app's log:\n%s", what, commandTimeout, err, a.log)
}

// result is how a command ended.
type result struct {
	stdout, stderr string
	code           int
}

// command makes a command that talks to the app: "skerry" or "docker" and its
// arguments.
func (a *app) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	a.tb.Helper()
	path := name
	if name == "skerry" {
		path = program(a.tb)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "SKERRY_HOME="+a.home, "DOCKER_HOST=unix://"+a.socket(), "DOCKER_CONFIG="+filepath.Join(a.home, "docker-config"))
	return cmd
}

// do runs a command to its end.
func (a *app) do(stdin io.Reader, name string, args ...string) result {
	a.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	cmd := a.command(ctx, name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		a.tb.Fatalf("%s %q: %v\nstdout: %.2000s\nstderr: %.2000s\nthe app's log:\n%s", name, args, err, &stdout, &stderr, a.log)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// ok runs a command that must succeed and returns its standard output.
func (a *app) ok(name string, args ...string) string {
	a.tb.Helper()
	r := a.do(nil, name, args...)
	if r.code != 0 {
		a.tb.Fatalf("%s %q: exit status %d\nstdout: %.2000s\nstderr: %.2000s\nthe app's log:\n%s", name, args, r.code, r.stdout, r.stderr, a.log)
	}
	return r.stdout
}

// fails runs a command that must fail with a status and with words on standard
// error.
func (a *app) fails(code int, words string, name string, args ...string) {
	a.tb.Helper()
	r := a.do(nil, name, args...)
	if r.code != code || !strings.Contains(strings.ToLower(r.stderr), strings.ToLower(words)) {
		a.tb.Errorf("%s %q: exit status %d, stderr %q; want %d and %q", name, args, r.code, r.stderr, code, words)
	}
}

// get asks the API and returns the answer, which must be a success.
func (a *app) get(path string) []byte {
	a.tb.Helper()
	client := http.Client{Timeout: commandTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", a.socket()) },
	}}
	answer, err := client.Get("http://skerry" + path)
	if err != nil {
		a.tb.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		a.tb.Fatalf("GET %s: %s: %.2000s: %v", path, answer.Status, body, err)
	}
	return body
}

// lockedBuffer is a buffer that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// with returns the same app for a subtest.
func (a *app) with(tb testing.TB) *app {
	b := *a
	b.tb = tb
	return &b
}
