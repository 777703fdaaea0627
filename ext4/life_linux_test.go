package ext4_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skerry-app/skerry/ext4"
	"github.com/skerry-app/skerry/ext4/ext4test"
)

// device returns the loop device that is mounted on dir.
func device(t *testing.T, dir string) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(mounts)) {
		if f := strings.Fields(l); f[4] == dir {
			_, rest, _ := strings.Cut(l, " - ")
			return strings.Fields(rest)[1]
		}
	}
	t.Fatalf("nothing is mounted on %s", dir)
	return ""
}

// TestCopyWhileMounted copies a file system as a crash would leave it, and has
// the kernel replay its journal.
func TestCopyWhileMounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	scratch(t, path, ext4.Options{Size: 1 << 30, Journal: 16 << 20})
	dir, unmount := ext4test.Mount(t, path, "rw")
	fill(t, filepath.Join(dir, "upper"))
	for i := range 40 {
		f, err := os.Open(filepath.Join(dir, "upper", fmt.Sprintf("dir%d", i), "file"))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	crashed := path + ".crashed"
	if out, err := exec.Command("cp", "--sparse=always", path, crashed).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	unmount()
	if features := ext4test.Debugfs(t, crashed, "show_super_stats -h"); !strings.Contains(features, "needs_recovery") {
		t.Fatalf("the copy needs no recovery:\n%s", features)
	}
	dir, unmount = ext4test.Mount(t, crashed, "rw")
	filled(t, filepath.Join(dir, "upper"))
	fill(t, filepath.Join(dir, "work"))
	unmount()
	ext4test.Fsck(t, crashed)
}

// firstWriteReads is how many blocks the kernel may read to write the first
// file to an empty file system.
const firstWriteReads = 20

// TestFirstWriteReadsLittle counts what the kernel reads when it mounts an
// empty file system and writes to it. Bitmaps of unused groups must not be
// among it.
func TestFirstWriteReadsLittle(t *testing.T) {
	for _, size := range []int64{16 << 30, 512 << 30} {
		t.Run(fmt.Sprint(size>>30), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "disk")
			scratch(t, path, ext4.Options{Size: size, Journal: 32 << 20})
			dir, _ := ext4test.Mount(t, path, "rw")
			name := filepath.Base(device(t, dir))
			before := sectorsRead(t, name)
			f, err := os.Create(filepath.Join(dir, "upper", "file"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := io.WriteString(f, strings.Repeat("x", 8192)); err != nil {
				t.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
			after := sectorsRead(t, name)
			if reads := (after - before) / 8; reads > firstWriteReads {
				t.Errorf("the first write reads %d blocks, more than %d", reads, firstWriteReads)
			}
		})
	}
}

// TestNothingToInitialize looks for what makes the kernel write to inode tables
// in the background after a mount (fs/ext4/super.c, ext4_has_uninit_itable).
func TestNothingToInitialize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	scratch(t, path, ext4.Options{Size: 16 << 30, Journal: 32 << 20})
	groups, zeroed := 0, 0
	for l := range strings.Lines(ext4test.Dumpe2fs(t, path)) {
		if strings.HasPrefix(l, "Group ") {
			groups++
			if strings.Contains(l, "ITABLE_ZEROED") {
				zeroed++
			}
		}
	}
	if groups != 128 || zeroed != groups {
		t.Errorf("%d of %d groups have inode tables that are known to be zero, want all of 128", zeroed, groups)
	}
}

// sectorsRead returns how many sectors have been read of a block device
// (Documentation/block/stat.rst).
func sectorsRead(t *testing.T, name string) (sectors uint64) {
	t.Helper()
	b, err := os.ReadFile("/sys/block/" + name + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	var requests, merged uint64
	if _, err := fmt.Sscan(string(b), &requests, &merged, &sectors); err != nil {
		t.Fatal(err)
	}
	return sectors
}
