package reader_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/ext4"
	"github.com/skerry-app/skerry/ext4/ext4test"
	"github.com/skerry-app/skerry/ext4/reader"
)

// mkfs makes an ext4 file system unless args have another type.
func mkfs(t *testing.T, image, size string, args ...string) {
	t.Helper()
	if !slices.Contains(args, "-t") {
		args = append(args, "-t", "ext4")
	}
	ext4test.Mke2fs(t, append(append([]string{"-F", "-N", "4096"}, args...), image, size)...)
}

// TestKernel compares file systems of many shapes that the kernel has written
// with what it shows of them.
func TestKernel(t *testing.T) {
	for name, c := range map[string]struct {
		args    []string // of mke2fs
		tune    []string // of tune2fs
		seconds bool     // inodes have no room for more
		large   bool     // extended attributes can be inodes
	}{
		"default":         {},
		"1K":              {args: []string{"-b", "1024"}},
		"2K no journal":   {args: []string{"-b", "2048", "-O", "^has_journal"}},
		"block map":       {args: []string{"-O", "^extent,^64bit"}},
		"block map 1K":    {args: []string{"-b", "1024", "-O", "^extent,^64bit"}},
		"inline data":     {args: []string{"-O", "inline_data"}},
		"inline data 1K":  {args: []string{"-b", "1024", "-I", "1024", "-O", "inline_data"}},
		"32 bit":          {args: []string{"-O", "^64bit"}},
		"small inodes":    {args: []string{"-I", "128"}, seconds: true},
		"large inodes":    {args: []string{"-I", "1024"}},
		"no checksums":    {args: []string{"-O", "^metadata_csum"}},
		"csum seed":       {args: []string{"-O", "metadata_csum_seed,orphan_file"}},
		"meta_bg":         {args: []string{"-b", "1024", "-O", "meta_bg,^resize_inode"}},
		"meta_bg 32 bit":  {args: []string{"-b", "1024", "-g", "1024", "-O", "meta_bg,^resize_inode,^64bit,^flex_bg"}},
		"sparse_super2":   {args: []string{"-b", "1024", "-g", "1024", "-O", "sparse_super2,meta_bg,^resize_inode"}},
		"no sparse_super": {args: []string{"-b", "1024", "-O", "^sparse_super,meta_bg,^resize_inode,^flex_bg"}},
		"bigalloc":        {args: []string{"-O", "bigalloc"}},
		"bigalloc 1K":     {args: []string{"-b", "1024", "-O", "bigalloc"}},
		"ea_inode":        {args: []string{"-O", "ea_inode,large_dir"}, large: true},
		"ext2":            {args: []string{"-t", "ext2", "-I", "256"}},
		"ext3":            {args: []string{"-t", "ext3", "-I", "256"}},
		"no filetype":     {args: []string{"-t", "ext2", "-I", "256", "-O", "^filetype"}},
		"mmp":             {args: []string{"-O", "mmp"}},
		"legacy hash":     {args: []string{"-b", "1024"}, tune: []string{"-E", "hash_alg=legacy"}},
		"TEA":             {args: []string{"-b", "1024"}, tune: []string{"-E", "hash_alg=tea"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := filepath.Join(t.TempDir(), "image")
			mkfs(t, image, "96m", c.args...)
			if c.tune != nil {
				ext4test.Tune2fs(t, append(c.tune, image)...)
			}
			dir, unmount := ext4test.Mount(t, image, "rw")
			populate(t, dir)
			attributes(t, dir, c.large)
			if !c.seconds {
				times(t, dir, "file-1", "links", "kinds/fifo", "comb")
			}
			allocate(t, filepath.Join(dir, "allocated"))
			unmount()
			ext4test.Fsck(t, image)
			dir, _ = ext4test.Mount(t, image, "ro")
			same(t, image, dir)
			found(t, open(t, image), dir)
		})
	}
}

// TestOurs compares file systems of package ext4 with what the kernel shows of
// them, one as it was written and one that the kernel has filled.
func TestOurs(t *testing.T) {
	t.Run("written", func(t *testing.T) {
		image := filepath.Join(t.TempDir(), "image")
		small(t, image)
		dir, _ := ext4test.Mount(t, image, "ro")
		same(t, image, dir)
	})
	t.Run("filled", func(t *testing.T) {
		f, err := os.Create(filepath.Join(t.TempDir(), "image"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := ext4.Create(f, ext4.Options{Size: 96 << 20, Journal: 8 << 20}, ext4.NewDir(0o755)); err != nil {
			t.Fatal(err)
		}
		dir, unmount := ext4test.Mount(t, f.Name(), "rw")
		populate(t, dir)
		attributes(t, dir, false)
		settle(t, dir)
		crashed := filepath.Join(t.TempDir(), "copy")
		copyFile(t, f.Name(), crashed)
		if diff := cmp.Diff(ext4test.Walk(t, dir), manifest(t, open(t, crashed))); diff != "" {
			t.Errorf("copy (-kernel +reader):\n%.5000s", diff)
		}
		unmount()
		dir, _ = ext4test.Mount(t, f.Name(), "ro")
		same(t, f.Name(), dir)
		found(t, open(t, f.Name()), dir)
	})
}

// found looks names up that are there and that are not.
func found(t *testing.T, fsys *reader.FS, dir string) {
	t.Helper()
	names, err := os.ReadDir(filepath.Join(dir, "many"))
	if err != nil || len(names) != 600 {
		t.Fatalf("%d names: %v", len(names), err)
	}
	for _, n := range names {
		if _, err := fsys.Lstat("many/" + n.Name()); err != nil {
			t.Error(err)
		}
		if _, err := fsys.Lstat("many/" + n.Name() + "x"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q with an x behind: %v", n.Name(), err)
		}
	}
	for name, want := range map[string]error{
		"links/absolute": nil, "links/clamped": nil, "links/double": nil, "links/double/one": nil, "links/loop": unix.ELOOP, "links/1": fs.ErrNotExist,
		"links/absolute/x": unix.ENOTDIR, "file-100/x": unix.ENOTDIR, "links/..": fs.ErrInvalid, "/links": fs.ErrInvalid,
	} {
		if _, err := fsys.Stat(name); !errors.Is(err, want) {
			t.Errorf("stat %s: %v, want %v", name, err, want)
		}
	}
}

// TestMke2fsDir compares file systems that mke2fs has written with their
// source, also where the kernel here cannot mount them.
func TestMke2fsDir(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("devices and owners need root: run the tests with sudo")
	}
	source := t.TempDir()
	populate(t, source)
	if err := os.Remove(filepath.Join(source, "links/hardlink of a link")); err != nil { // mke2fs makes two of it
		t.Fatal(err)
	}
	attributes(t, source, false)
	want := ext4test.Walk(t, source)
	for path, e := range want {
		e.Mtime = e.Mtime.Truncate(time.Second) // mke2fs has no more
		want[path] = e
	}
	for name, args := range map[string][]string{
		"default":   nil,
		"1K":        {"-b", "1024"},
		"32K":       {"-b", "32768"},
		"64K":       {"-b", "65536"},
		"64K ext3":  {"-t", "ext3", "-b", "65536"},
		"block map": {"-O", "^extent,^metadata_csum,^64bit"},
	} {
		t.Run(name, func(t *testing.T) {
			image := filepath.Join(t.TempDir(), "image")
			mkfs(t, image, "192m", append([]string{"-d", source}, args...)...)
			got := manifest(t, open(t, image))
			delete(got, "lost+found")
			root := got["."]
			root.Nlink--
			root.Mtime = want["."].Mtime
			got["."] = root
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("file system (-source +reader):\n%.5000s", diff)
			}
		})
	}
}
