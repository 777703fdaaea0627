//go:build linux

package process

import (
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// exitTimeout bounds how long a child may take to be collected.
const exitTimeout = 20 * time.Second

// TestReaper has children end as fast as they can: none may be lost or taken
// for another.
func TestReaper(t *testing.T) {
	r := NewReaper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	files := []uintptr{null.Fd(), null.Fd(), null.Fd()}
	start := func(script string) <-chan unix.WaitStatus {
		ch, err := r.Start(func() (int, error) {
			return syscall.ForkExec("/bin/sh", []string{"sh", "-c", script}, &syscall.ProcAttr{Files: files})
		})
		if err != nil {
			t.Error(err)
		}
		return ch
	}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			select {
			case status := <-start("exit " + string(rune('0'+i%10))):
				if status.ExitStatus() != i%10 {
					t.Errorf("child %d: exit status %d", i, status.ExitStatus())
				}
			case <-time.After(exitTimeout):
				t.Errorf("child %d was not collected", i)
			}
		})
	}
	all.Wait()
	if status := <-start("kill -KILL $$"); !status.Signaled() || status.Signal() != unix.SIGKILL {
		t.Errorf("a killed child: %v", status)
	}
	if _, err := r.Start(func() (int, error) { return 0, unix.EAGAIN }); err != unix.EAGAIN {
		t.Errorf("a fork that fails: %v", err)
	}
	// One that nobody waits for is collected all the same.
	pid, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{Files: files})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(exitTimeout); unix.Kill(pid, 0) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("an unknown child was not collected")
		}
	}
}
