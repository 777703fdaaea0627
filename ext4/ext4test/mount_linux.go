package ext4test

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
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
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
			unix.Unmount(dir, unix.MNT_DETACH)
		}
		mounted = false
	}
	t.Cleanup(unmount)
	return dir, unmount
}
