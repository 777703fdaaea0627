package ext4_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/ext4"
	"github.com/skerry-app/skerry/ext4/ext4test"
)

// scratch makes an empty file system, as for a container's own data.
func scratch(t *testing.T, path string, o ext4.Options) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	t.Cleanup(func() { os.Remove(path) })
	root := ext4.NewDir(0o755)
	root.Set("upper", ext4.NewDir(0o750))
	root.Set("work", ext4.NewDir(0o700))
	if _, err := ext4.Create(f, o, root); err != nil {
		t.Fatal(err)
	}
}

// bigFiles returns a directory for sparse files of more than 16 TiB, which
// ext4 as the host's file system cannot have.
func bigFiles(t testing.TB, size int64) string {
	dir := t.TempDir()
	if size < 16<<40 {
		return dir
	}
	var st unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &st); err != nil || st.Type != unix.TMPFS_MAGIC {
		t.Skip("files of more than 16 TiB need a tmpfs: mount one on /dev/shm")
	}
	dir, err := os.MkdirTemp("/dev/shm", "ext4-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// TestCreate has the kernel write to empty file systems, and e2fsck look at
// them before and after.
func TestCreate(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		size, journal int64
		maxDisk       int64 // bytes
	}{
		{3 << 20, 0, 1 << 20},
		{64 << 20, 8 << 20, 1 << 20},
		{128<<20 + 1<<20, 0, 1 << 20}, // a last group that is too small
		{300<<20 + 12345, 0, 1 << 20},
		{16 * gib, 0, 1 << 20},
		{16 * gib, 64 << 20, 1 << 20},
		{512 * gib, 0, 4 << 20},
		{17 << 40, 16 << 20, 64 << 20},
	} {
		t.Run(fmt.Sprintf("%d+%d", c.size, c.journal), func(t *testing.T) {
			path := filepath.Join(bigFiles(t, c.size), "disk")
			scratch(t, path, ext4.Options{Size: c.size, Journal: c.journal, Label: "scratch"})
			var st unix.Stat_t
			if err := unix.Stat(path, &st); err != nil {
				t.Fatal(err)
			}
			if st.Blocks*512 > c.maxDisk {
				t.Errorf("takes %d bytes of disk, more than %d", st.Blocks*512, c.maxDisk)
			}
			if c.size <= 512*gib { // above, e2fsck takes minutes
				ext4test.Fsck(t, path)
			}
			overhead := line(ext4test.Debugfs(t, path, "show_super_stats -h"), "Overhead clusters:")
			dir, unmount := ext4test.Mount(t, path, "rw")
			for _, name := range []string{"upper", "work", "lost+found"} {
				if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || !fi.IsDir() {
					t.Errorf("no directory %s: %v", name, err)
				}
			}
			fill(t, filepath.Join(dir, "upper"))
			unmount()
			if got := line(ext4test.Debugfs(t, path, "show_super_stats -h"), "Overhead clusters:"); got != overhead || got == "" {
				t.Errorf("the kernel has changed %q to %q", overhead, got)
			}
			if c.size <= 512*gib {
				ext4test.Fsck(t, path)
			}
			dir, _ = ext4test.Mount(t, path, "ro")
			filled(t, filepath.Join(dir, "upper"))
		})
	}
}

func fill(t *testing.T, dir string) {
	t.Helper()
	for i := range 40 {
		sub := filepath.Join(dir, fmt.Sprintf("dir%d", i))
		if err := os.Mkdir(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sub, "file"), []byte(strings.Repeat(sub, 100)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func filled(t *testing.T, dir string) {
	t.Helper()
	for i := range 40 {
		name := filepath.Join(dir, fmt.Sprintf("dir%d", i), "file")
		if fi, err := os.Stat(name); err != nil || fi.Size() == 0 {
			t.Errorf("file is not there any more: %v", err)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	for _, c := range []struct {
		o    ext4.Options
		want string
	}{
		{ext4.Options{Size: 1}, "too small"},
		{ext4.Options{Size: ext4.MaxSize + 1}, "range"},
		{ext4.Options{Size: -1}, "range"},
		{ext4.Options{Size: 1 << 30, Label: "seventeen letters"}, "label"},
		{ext4.Options{Size: 64 << 20, Journal: 63 << 20}, "journal"},
		{ext4.Options{Size: 1 << 30, Journal: 4096}, "journal"},
	} {
		f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := ext4.Create(f, c.o, ext4.NewDir(0o755)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want an error with %q", c.o, err, c.want)
		}
	}
}

// TestFeatures looks at what e2fsprogs says of an empty file system.
func TestFeatures(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	scratch(t, path, ext4.Options{Size: 16 << 30, Journal: 16 << 20, Label: "data"})
	got := ext4test.Debugfs(t, path, "show_super_stats -h")
	for _, want := range []string{
		"Filesystem volume name:   data\n",
		"has_journal ext_attr dir_index filetype extent flex_bg sparse_super large_file huge_file dir_nlink extra_isize metadata_csum\n",
		"Flex block group size:    16\n",
		"Reserved block count:     0\n",
		"Checksum type:            crc32c\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no line %q in:\n%s", want, got)
		}
	}
}

// line returns the line that starts like this.
func line(text, start string) string {
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, start) {
			return l
		}
	}
	return ""
}

// TestGrow has e2fsprogs grow a file system.
func TestGrow(t *testing.T) {
	resize, err := exec.LookPath("resize2fs")
	if err != nil {
		t.Skip("resize2fs is not here: install e2fsprogs")
	}
	path := filepath.Join(t.TempDir(), "disk")
	scratch(t, path, ext4.Options{Size: 300 << 20})
	if err := os.Truncate(path, 8<<30); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(resize, path).CombinedOutput(); err != nil {
		t.Fatalf("resize2fs: %v: %s", err, out)
	}
	ext4test.Fsck(t, path)
	dir, _ := ext4test.Mount(t, path, "ro")
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || int64(st.Blocks)*st.Bsize < 7<<30 {
		t.Errorf("has %d blocks after growing: %v", st.Blocks, err)
	}
}
