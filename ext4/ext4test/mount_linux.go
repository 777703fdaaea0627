package ext4test

import (
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A process that another test has just forked has the files of this one open
// until it executes its program.
const (
	busyTimeout = 10 * time.Second
	busyPause   = 10 * time.Millisecond
)

// Mount mounts an image until the test ends and returns where. options are
// those of mount -o.
func Mount(t testing.TB, image, options string) (dir string, unmount func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting needs root: run the tests with sudo")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skipf("mounting needs loop devices: %v", err)
	}
	dir = t.TempDir()
	if out, err := exec.Command("mount", "-t", "ext4", "-o", "loop,"+options, image, dir).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	mounted := true
	unmount = func() {
		if !mounted {
			return
		}
		err := unix.Unmount(dir, 0)
		for end := time.Now().Add(busyTimeout); errors.Is(err, unix.EBUSY) && time.Now().Before(end); err = unix.Unmount(dir, 0) {
			time.Sleep(busyPause)
		}
		if err != nil {
			t.Errorf("unmount: %v", err)
			unix.Unmount(dir, unix.MNT_DETACH)
		}
		mounted = false
	}
	t.Cleanup(unmount)
	return dir, unmount
}
