package reader

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/skerry-app/skerry/ext4"
	"github.com/skerry-app/skerry/ext4/format"
)

func opened(t *testing.T, b []byte) *FS {
	t.Helper()
	f, err := New(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFS has package fstest look at a file system, and compares the inodes with
// what was written.
func TestFS(t *testing.T) {
	f := opened(t, image(t))
	// The standard library's checks want UTF-8, and to read what is there.
	if err := fstest.TestFS(ordinary{f}, "file", "comb", "fast", "slow", "sub/deeper", "big/"+bigName(7)); err != nil {
		t.Error(err)
	}
	names := func(dir string) []string {
		all, err := f.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, e := range all {
			out = append(out, e.Type().String()[:1]+" "+e.Name())
		}
		return out
	}
	if diff := cmp.Diff([]string{"d big", "- comb", "D device", "L fast", "- file", "L slow", "S socket", "d sub"}, names(".")); diff != "" {
		t.Errorf("root (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"d deeper", "- name\xff"}, names("sub")); diff != "" {
		t.Errorf("sub (-want +got):\n%s", diff)
	}
	fi, err := f.Stat("slow")
	if err != nil {
		t.Fatal(err)
	}
	in := fi.Sys().(*Inode)
	if fi.Mode() != fs.ModeSetuid|0o755 || in.UID != 1<<31 || in.GID != 70000 || in.Links != 2+bigNames ||
		!fi.ModTime().Equal(time.Unix(3<<30, 123456789)) || !in.Crtime.Equal(in.Mtime) || fi.Size() != 8 || fi.Name() != "slow" {
		t.Errorf("file is %v %+v", fi, in)
	}
	xattrs, err := in.Xattrs()
	if err != nil || !slices.Equal(slices.Sorted(maps.Keys(xattrs)), []string{"user.large", "user.small"}) || len(xattrs["user.large"]) != 1000 {
		t.Errorf("extended attributes are %q: %v", xattrs, err)
	}
	fi, err = f.Lstat("device")
	if err != nil {
		t.Fatal(err)
	}
	in = fi.Sys().(*Inode)
	if xattrs, err := in.Xattrs(); in.Major != 259 || in.Minor != 70000 || string(xattrs[format.ACLAccess]) != acl {
		t.Errorf("device is %+v with %q: %v", in, xattrs, err)
	}
	if target, err := f.ReadLink("slow"); err != nil || target != strings.Repeat("./", 100)+"file" {
		t.Errorf("link to %q: %v", target, err)
	}
	for op, err := range map[string]error{
		"open":     second(f.Open("sub/none")),
		"readlink": second(f.ReadLink("file")),
		"readdir":  second(f.ReadDir("file")),
		"stat":     second(f.Stat(strings.Repeat("a/", 3000) + "a")),
		"lstat":    second(f.Lstat("sub/../file")),
	} {
		want := map[string]error{"open": fs.ErrNotExist, "readlink": fs.ErrInvalid, "readdir": syscall.ENOTDIR, "stat": syscall.ENAMETOOLONG, "lstat": fs.ErrInvalid}[op]
		var pe *fs.PathError
		if !errors.Is(err, want) || !errors.As(err, &pe) || pe.Op != op {
			t.Errorf("%s: %v, want %v", op, err, want)
		}
	}
	d, err := f.Open("device")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("a device was read: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// ordinary leaves out names that are not UTF-8, and what cannot be read.
type ordinary struct{ *FS }

func (o ordinary) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := o.FS.ReadDir(name)
	return slices.DeleteFunc(all, func(e fs.DirEntry) bool {
		return !fs.ValidPath(e.Name()) || e.Type()&(fs.ModeDevice|fs.ModeSocket) != 0
	}), err
}

func (o ordinary) Open(name string) (fs.File, error) {
	f, err := o.FS.Open(name)
	if d, ok := f.(*directory); ok {
		d.entries, err = o.ReadDir(name)
		d.read = true
	}
	return f, err
}

// TestContents reads a file with holes in all ways, and a very large one.
func TestContents(t *testing.T) {
	const size, far = 5 << 30, 4<<30 + 12345
	f := opened(t, written(t, ext4.Options{}, func(w *ext4.Writer, root *ext4.Node) {
		large, err := w.Data(io.MultiReader(strings.NewReader("start"), io.LimitReader(zeros{}, far-5), strings.NewReader("data"), zeros{}), size)
		if err != nil {
			t.Fatal(err)
		}
		root.Set("large", ext4.NewFile(0o600, large))
		root.Set("empty", ext4.NewFile(0o600, nil))
		holes, err := w.Data(zeros{}, 1<<20+1)
		if err != nil {
			t.Fatal(err)
		}
		root.Set("holes", ext4.NewFile(0o600, holes))
	}))
	contents := func(name string) *Contents {
		in, err := f.resolve(name, true)
		if err != nil {
			t.Fatal(err)
		}
		c, err := in.Contents()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	large := contents("large")
	left := large.in.fs.super.maxSpans()
	segments, err := large.segments(&left)
	want := []Segment{{0, 4096}, {far / 4096 * 4096, far/4096*4096 + 4096}}
	if diff := cmp.Diff(want, segments); diff != "" || err != nil {
		t.Errorf("segments: %v (-want +got):\n%s", err, diff)
	}
	if s, err := large.Next(100); err != nil || s != (Segment{100, 4096}) {
		t.Errorf("data after byte 100: %v %v", s, err)
	}
	if _, err := large.Next(size - 1); err != io.EOF {
		t.Errorf("data at the end: %v", err)
	}
	p := make([]byte, 10)
	if n, err := large.ReadAt(p, far-3); n != 10 || err != nil || string(p) != "\x00\x00\x00data\x00\x00\x00" {
		t.Errorf("read %q: %v", p[:n], err)
	}
	if n, err := large.ReadAt(p, size-4); n != 4 || err != io.EOF {
		t.Errorf("read %d bytes at the end: %v", n, err)
	}
	if n, err := large.ReadAt(p, size+4); n != 0 || err != io.EOF {
		t.Errorf("read %d bytes behind the end: %v", n, err)
	}
	if _, err := large.ReadAt(p, -1); err == nil || err == io.EOF {
		t.Errorf("read before the start: %v", err)
	}
	for _, name := range []string{"empty", "holes"} {
		if s, err := contents(name).Next(0); err != io.EOF {
			t.Errorf("data in %s: %v %v", name, s, err)
		}
	}
	// 5 GiB with 8 KiB of data become a small archive.
	var archive bytes.Buffer
	if err := f.WriteTar(&archive, nil); err != nil || archive.Len() > 100<<10 {
		t.Errorf("archive has %d bytes: %v", archive.Len(), err)
	}
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestConcurrent reads a file system from many goroutines, for the race
// detector.
func TestConcurrent(t *testing.T) {
	f := opened(t, image(t))
	c, err := f.Open("comb")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := f.WriteTar(io.Discard, nil); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			p := make([]byte, 10000)
			for at := int64(0); at < 2<<20; at += 5000 {
				if _, err := c.(io.ReaderAt).ReadAt(p, at); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// TestResolve follows links of all forms.
func TestResolve(t *testing.T) {
	f := opened(t, written(t, ext4.Options{}, func(_ *ext4.Writer, root *ext4.Node) {
		a, b := ext4.NewDir(0o755), ext4.NewDir(0o755)
		root.Set("a", a)
		a.Set("b", b)
		b.Set("file", ext4.NewFile(0o644, nil))
		for name, target := range map[string]string{
			"up": "..", "above": "../../../../..", "root": "/", "absolute": "/a/b", "double": "..//b", "slashes": "//a///b//",
			"dots": "././../b/.", "chain": "absolute", "deep": "double/file", "slash": "file/", "through": "file/..",
			"self": "self", "ping": "pong", "pong": "ping",
		} {
			b.Set(name, &ext4.Node{Mode: format.TypeLink | 0o777, Target: target})
		}
	}))
	inode := func(path string) uint32 {
		fi, err := f.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		return fi.Sys().(*Inode).Number
	}
	for path, want := range map[string]any{
		"a/b/up": "a", "a/b/above": ".", "a/b/root": ".", "a/b/absolute": "a/b", "a/b/double": "a/b",
		"a/b/slashes": "a/b", "a/b/dots": "a/b", "a/b/chain": "a/b", "a/b/deep": "a/b/file", "a/b/up/b/file": "a/b/file",
		"a/b/chain/double/file": "a/b/file", "a/b/slash": syscall.ENOTDIR, "a/b/through": syscall.ENOTDIR,
		"a/b/self": syscall.ELOOP, "a/b/ping": syscall.ELOOP, "a/b/ping/x": syscall.ELOOP, "a/b/chain/none": fs.ErrNotExist,
	} {
		fi, err := f.Stat(path)
		if wantErr, ok := want.(error); ok {
			if !errors.Is(err, wantErr) {
				t.Errorf("%s: %v, want %v", path, err, wantErr)
			}
		} else if err != nil || fi.Sys().(*Inode).Number != inode(want.(string)) {
			t.Errorf("%s is not %s: %v", path, want, err)
		}
	}
}
