//go:build linux

package minder

import (
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	if os.Args[0] == Name {
		os.Exit(Run(os.Args[1], os.Args[2:]))
	}
	os.Exit(m.Run())
}

// start starts this program as a minder and returns the pipe of its report.
func start(t *testing.T, path string, args ...string) (cmd *exec.Cmd, report *os.File, out io.Reader) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	t.Cleanup(func() { r.Close() })
	cmd = &exec.Cmd{Path: self, Args: append([]string{Name, path}, args...), ExtraFiles: []*os.File{w}, Stderr: os.Stderr}
	out, err = cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, r, out
}

func TestExitStatus(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 42": 42, "kill -9 $$": 137} {
		cmd, report, _ := start(t, "/bin/sh", "sh", "-c", script)
		if b, err := io.ReadAll(report); len(b) > 0 || err != nil {
			t.Errorf("%s: it reports %x, %v", script, b, err)
		}
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != want {
			t.Errorf("%s: exit status %d, want %d", script, code, want)
		}
	}
}

func TestForward(t *testing.T) {
	for signal, want := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGUSR1: 7} {
		cmd, report, out := start(t, "/bin/sh", "sh", "-c", "trap 'exit 7' USR1; echo up; while :; do sleep 0.05; done")
		if _, err := io.ReadAll(report); err != nil { // to its end: the program runs and does not hold the pipe
			t.Fatal(err)
		}
		up := make([]byte, len("up\n"))
		if _, err := io.ReadFull(out, up); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != want {
			t.Errorf("%v: exit status %d, want %d", signal, code, want)
		}
	}
}

func TestReport(t *testing.T) {
	cmd, report, _ := start(t, "/no/such/program", "program")
	b, err := io.ReadAll(report)
	if err != nil || len(b) != 16 || syscall.Errno(binary.NativeEndian.Uint64(b[8:])) != syscall.ENOENT {
		t.Errorf("it reports %x, %v", b, err)
	}
	cmd.Wait()
}
