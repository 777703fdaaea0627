//go:build linux

package qemu

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// orphanVariable makes the test binary the process that is killed.
const orphanVariable = "QEMU_TEST_ORPHAN"

// TestOrphan kills a process that has a machine, which must not stay behind.
func TestOrphan(t *testing.T) {
	if os.Getenv(orphanVariable) != "" {
		keepMachine(t)
		return
	}
	bootable(t) // skips where nothing boots
	newDriver(t, Options{})
	cmd := exec.Command(os.Args[0], "-test.run=^TestOrphan$")
	// What it writes is for this test to remove: it does not get the chance.
	cmd.Env = append(os.Environ(), orphanVariable+"=1", "TMPDIR="+t.TempDir())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, 0); err != nil {
		t.Fatalf("QEMU is not there: %v", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	for end := time.Now().Add(10 * time.Second); alive(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			unix.Kill(pid, unix.SIGKILL)
			t.Fatal("QEMU outlived the process that started it")
		}
	}
}

// alive says whether a process runs; one that init has yet to reap does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// keepMachine starts a machine, says what its process is, and waits to be
// killed.
func keepMachine(t *testing.T) {
	m := newMachine(t, newDriver(t, Options{}), bootable(t))
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	fmt.Println(m.run.proc.cmd.Process.Pid)
	time.Sleep(time.Minute)
}
