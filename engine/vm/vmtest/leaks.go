package vmtest

import (
	"os"
	"runtime"
	"testing"
	"time"
)

// noLeaks fails the test if goroutines or descriptors are left when everything
// that is registered with Cleanup after this call has been cleaned up.
func (s *suite) noLeaks(t *testing.T) {
	t.Helper()
	made, attached, running, files := s.made.Load(), s.attached.Load(), runtime.NumGoroutine(), openFiles(t)
	t.Cleanup(func() {
		const patience = 5 * time.Second // a goroutine that was told to end may still be on its way
		end := time.Now().Add(patience)
		goroutines := running + int(s.made.Load()-made)*s.Keeps + int(s.attached.Load()-attached)*s.KeepsNBD
		for time.Now().Before(end) && (runtime.NumGoroutine() > goroutines || openFiles(t) > files) {
			time.Sleep(time.Millisecond)
			if s.Collected {
				runtime.GC()
			}
		}
		if n := runtime.NumGoroutine(); n > goroutines {
			stacks := make([]byte, 1<<20)
			t.Errorf("%d goroutines, %d expected\n%s", n, goroutines, stacks[:runtime.Stack(stacks, true)])
		}
		if n := openFiles(t); n > files {
			t.Errorf("%d open files, %d before", n, files)
		}
	})
}

func openFiles(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}
