package tests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTwoAppsOnOneHome checks that the second says who holds it.
func TestTwoAppsOnOneHome(t *testing.T) {
	a := startApp(t)
	cmd := exec.Command(program(t), "app", "--headless")
	cmd.Env = append(os.Environ(), "SKERRY_HOME="+a.home)
	out, err := cmd.CombinedOutput()
	if want := fmt.Sprintf("process %d", a.cmd.Process.Pid); err == nil || !strings.Contains(string(out), want) {
		t.Errorf("the second app ended with %v and said %q; want a failure that names %q", err, out, want)
	}
	a.ok("skerry", "ps")
}

// TestKilledApp kills the app with containers in every state. The next start
// finds nothing running, and everything still there.
func TestKilledApp(t *testing.T) {
	a := startApp(t)
	a.ok("skerry", "pull", testImage)
	a.ok("skerry", "run", "-d", "--name", "runs", testImage, "sh", "-c", "echo before; sleep 1000")
	a.eventually("it has written", func() error { return has(a.ok("skerry", "logs", "runs"), "before\n") })
	a.ok("skerry", "run", "-d", "--rm", "--name", "goes", testImage, "sleep", "1000")
	a.ok("skerry", "create", "--name", "created", testImage, "true")
	// One more is booting when the app goes.
	boot := a.command(t.Context(), "skerry", "run", "--name", "boots", testImage, "true")
	if err := boot.Start(); err != nil {
		t.Fatal(err)
	}
	a.eventually("three machines are there", func() error {
		if n := len(a.machines()); n < 3 {
			return fmt.Errorf("%d machines", n)
		}
		return nil
	})
	a.signal(syscall.SIGKILL)
	boot.Wait()
	a.eventually("no machine outlives the app", func() error {
		if left := a.machines(); len(left) > 0 {
			return fmt.Errorf("machines %v are left", left)
		}
		return nil
	})

	a.start()
	states := map[string]string{}
	for line := range strings.Lines(a.ok("skerry", "ps", "-a", "--format", "{{.Names}} {{.State}}")) {
		name, state, _ := strings.Cut(strings.TrimSpace(line), " ")
		states[name] = state
	}
	if states["runs"] != "exited" || states["created"] != "created" || states["goes"] != "" || states["boots"] == "running" {
		t.Errorf("after the crash the containers are %v", states)
	}
	if logs := a.ok("skerry", "logs", "runs"); logs != "before\n" {
		t.Errorf("its logs are %q", logs)
	}
	a.ok("skerry", "start", "runs")
	a.eventually("it has written again", func() error { return has(a.ok("skerry", "logs", "runs"), "before\nbefore\n") })
	a.ok("skerry", "rm", "-f", "runs")
	if out := a.ok("skerry", "run", "--rm", testImage, "echo", "still fine"); out != "still fine\n" {
		t.Errorf("the image gives %q", out)
	}
}

// TestKilledAppWhilePulling kills the app while a layer is on its way.
func TestKilledAppWhilePulling(t *testing.T) {
	a := startApp(t)
	a.ok("skerry", "pull", testImage)
	stalled := faults.stalling(t)
	pull := a.command(t.Context(), "skerry", "pull", stalled.ref)
	if err := pull.Start(); err != nil {
		t.Fatal(err)
	}
	<-stalled.reached
	a.signal(syscall.SIGKILL)
	pull.Wait()
	a.start()
	if err := a.noTemporaryFile(); err != nil {
		t.Error(err)
	}
	if images := a.ok("skerry", "images", "--format", "{{.Repository}}:{{.Tag}}"); images != testImage+"\n" {
		t.Errorf("the images are %q", images)
	}
	if out := a.ok("skerry", "run", "--rm", testImage, "echo", "still fine"); out != "still fine\n" {
		t.Errorf("the image gives %q", out)
	}
}

// TestKilledMachine kills the machine from under a container.
func TestKilledMachine(t *testing.T) {
	a := startApp(t)
	a.ok("skerry", "pull", testImage)
	a.ok("skerry", "run", "-d", "--name", "victim", testImage, "sleep", "1000")
	must(t, syscall.Kill(a.onlyMachine(), syscall.SIGKILL))
	a.fails(1, "machine ended", "skerry", "wait", "victim")
	state := a.ok("skerry", "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}: {{.State.Error}}", "victim")
	if !strings.HasPrefix(state, "exited 125: ") || !strings.Contains(state, "machine") || !strings.Contains(state, "SIGKILL") {
		t.Errorf("inspect says %q", state)
	}
	a.ok("skerry", "start", "victim")
	a.ok("skerry", "rm", "-f", "victim")
}

// TestMissingHypervisor runs an app whose PATH has no QEMU.
func TestMissingHypervisor(t *testing.T) {
	cmd := exec.Command(program(t), "app", "--headless")
	cmd.Env = append(os.Environ(), "SKERRY_HOME="+newHome(t), "PATH="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "apt") || !strings.Contains(string(out), "qemu-system-") {
		t.Errorf("the app ended with %v and said %q; want a failure that names the package", err, out)
	}
}

// TestFullDisk pulls onto a file system that is too small.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	home := newHome(t)
	if err := unix.Mount("tmpfs", home, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(home, 0)
	a := &app{tb: t, home: home}
	a.start()
	a.fails(1, "no space left", "skerry", "pull", faults.big(t))
	if images := a.ok("skerry", "images", "-q"); images != "" {
		t.Errorf("the images are %q", images)
	}
	if err := a.noTemporaryFile(); err != nil {
		t.Error(err)
	}
	a.stop()
	if err := a.noProcess(); err != nil {
		t.Error(err)
	}
}

// TestImageFaults tries images and registries that are not as they should be.
func TestImageFaults(t *testing.T) {
	a := startApp(t)
	closed := closedPort(t)
	for _, tc := range []struct{ name, ref, words string }{
		{"unknown image", faults.host() + "/no/such:image", "not found"},
		{"wrong tag", strings.TrimSuffix(testImage, ":latest") + ":no-such-tag", "not found"},
		{"registry down", closed + "/some/image:latest", closed},
		{"unauthorized", faults.unauthorized(t), "unauthorized"},
		{"truncated blob", faults.truncated(t), ""},
		{"blob with a wrong digest", faults.wrongDigest(t), "digest"},
		{"layer that is no tar", faults.noTar(t), "layer"},
		{"no platform for this host", faults.otherPlatform(t), "linux/"},
	} {
		t.Run(strings.ReplaceAll(tc.name, " ", "-"), func(t *testing.T) {
			a := a.with(t)
			a.fails(125, tc.words, "skerry", "run", "--rm", tc.ref, "true")
			a.fails(1, tc.words, "skerry", "pull", tc.ref)
			a.fails(1, tc.words, "docker", "pull", tc.ref)
			if ps := a.ok("skerry", "ps", "-aq"); ps != "" {
				t.Errorf("containers are left: %q", ps)
			}
			if err := a.noTemporaryFile(); err != nil {
				t.Error(err)
			}
			// Layers are unpacked while they arrive; nothing of that stays.
			if disks, err := os.ReadDir(filepath.Join(a.home, "disks")); err != nil || len(disks) > 0 {
				t.Errorf("disks are left: %v, %v", disks, err)
			}
		})
	}
	t.Run("image-without-command", func(t *testing.T) {
		a := a.with(t)
		a.fails(125, "no command", "skerry", "run", "--rm", faults.noCommand(t))
	})
	t.Run("names-that-would-leave-the-image", func(t *testing.T) {
		a := a.with(t)
		out := a.ok("skerry", "run", "--rm", faults.escaping(t), "sh", "-c", "cat /escaped-up /escaped-absolute /real/through-link")
		if out != "up\nabsolute\nlink\n" {
			t.Errorf("the container sees %q", out)
		}
		for _, path := range []string{"/escaped-up", "/escaped-absolute", "/real/through-link"} {
			if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is on the host: %v", path, err)
			}
		}
	})
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestBadProject checks that all problems are told at once, with their place.
func TestBadProject(t *testing.T) {
	a := startApp(t)
	file := filepath.Join(t.TempDir(), "skerry.toml")
	const text = `name = "bad"

[containers.web]
imgae = "x"
memory = 512
cpus = 0
depends_on = ["dbb"]

[containers.db]
image = "x"
ports = ["99999:80"]
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := a.do(nil, "skerry", "up", "-f", file)
	for _, want := range []string{"skerry.toml:4:1: ", `did you mean "image"?`, "skerry.toml:5:10: ", "skerry.toml:6:8: ", "skerry.toml:7:15: ", "skerry.toml:11:10: "} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("stderr lacks %q:\n%s", want, r.stderr)
		}
	}
	if r.code != 1 {
		t.Errorf("exit status %d", r.code)
	}
	if ps := a.ok("skerry", "ps", "-aq"); ps != "" {
		t.Errorf("something was started: %q", ps)
	}
}

// TestStoppingTheAppStopsItsMachines stops an app with running containers;
// startApp's cleanup looks for what is left.
func TestStoppingTheAppStopsItsMachines(t *testing.T) {
	a := startApp(t)
	a.ok("skerry", "pull", testImage)
	id := strings.TrimSpace(a.ok("skerry", "run", "-d", testImage, "sh", "-c", "trap 'exit 9' TERM; echo up; while :; do sleep 0.1; done"))
	a.eventually("it is up", func() error { return has(a.ok("skerry", "logs", id), "up\n") })
	a.stop()
	if left := a.processes(); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
	a.start()
	if state := a.ok("skerry", "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", id); state != "exited 9\n" {
		t.Errorf("it is %q", state)
	}
}

// TestQuit ends the app by the command line's request.
func TestQuit(t *testing.T) {
	a := startApp(t)
	a.ok("skerry", "app", "quit")
	select {
	case err := <-a.done:
		a.done <- err
		if err != nil {
			t.Errorf("the app ended with %v", err)
		}
	case <-time.After(commandTimeout):
		t.Error("the app goes on")
	}
}

// TestCommandLineStartsTheApp runs a command when no app is there.
func TestCommandLineStartsTheApp(t *testing.T) {
	a := &app{tb: t, home: newHome(t), log: &lockedBuffer{}}
	a.ok("skerry", "ps")
	a.eventually("the app is alone, once it has looked at what the host has", func() error {
		if n := len(a.processes()); n != 1 {
			return fmt.Errorf("%d processes are there: %w", n, a.noProcess())
		}
		return nil
	})
	if env := a.ok("skerry", "env"); !strings.Contains(env, "DOCKER_HOST=") || !strings.Contains(env, a.socket()) {
		t.Errorf("env prints %q", env)
	}
	a.ok("skerry", "app", "quit")
	a.checkNothingLeft()
}

// TestClientGoesAway checks that a detached container does not care and that
// an attached one goes on as well.
func TestClientGoesAway(t *testing.T) {
	a := shared(t)
	ctx, cancel := context.WithCancel(t.Context())
	cmd := a.command(ctx, "docker", "run", "--rm", "--name", "stays", testImage, "sh", "-c", "echo up; sleep 1000")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	cancel() // SIGKILL for the client
	cmd.Wait()
	var c []struct{ State struct{ Running bool } }
	if err := json.Unmarshal([]byte(a.ok("docker", "inspect", "stays")), &c); err != nil || !c[0].State.Running {
		t.Errorf("%v, running: %v", err, c)
	}
	a.ok("docker", "rm", "-f", "stays")
}

// TestInputEndsWithItsClient kills the client of a container that reads its
// input: what reads to the end of it ends.
func TestInputEndsWithItsClient(t *testing.T) {
	eachClient(t, func(t *testing.T, a *app, client string) {
		name := "reader-" + client
		cmd := a.command(t.Context(), client, "run", "-i", "--name", name, testImage, "sh", "-c", "echo up; cat; echo down")
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer stdin.Close()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		a.eventually("it is up", func() error { return has(a.do(nil, client, "logs", name).stdout, "up\n") })
		cmd.Process.Kill()
		cmd.Wait()
		if status := a.ok(client, "wait", name); status != "0\n" {
			t.Errorf("wait says %q", status)
		}
		a.ok(client, "rm", name)
	})
}

// TestStuckMachine has a guest that does not answer any more hold up nothing
// but itself.
func TestStuckMachine(t *testing.T) {
	a := startApp(t)
	a.ok("skerry", "pull", testImage)
	a.ok("skerry", "run", "-d", "--name", "stuck", testImage, "sleep", "1000")
	pid := a.onlyMachine()
	a.ok("skerry", "run", "-d", "--name", "lively", testImage, "sleep", "1000")
	must(t, syscall.Kill(pid, syscall.SIGSTOP))
	hangs := make(chan result, 1)
	go func() { hangs <- a.do(nil, "skerry", "exec", "stuck", "true") }()
	if out := a.ok("skerry", "ps", "--format", "{{.Names}}"); !strings.Contains(out, "stuck") || !strings.Contains(out, "lively") {
		t.Errorf("ps: %q", out)
	}
	if out := a.ok("skerry", "exec", "lively", "echo", "goes on"); out != "goes on\n" {
		t.Errorf("another container: %q", out)
	}
	a.ok("skerry", "stop", "-t", "1", "stuck")
	if out := a.ok("skerry", "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "stuck"); out != "exited 137\n" {
		t.Errorf("after stop: %q", out)
	}
	if r := <-hangs; r.code == 0 {
		t.Error("an exec in a machine that did not answer has succeeded")
	}
	a.ok("skerry", "start", "stuck")
	a.ok("skerry", "rm", "-f", "stuck", "lively")
}
