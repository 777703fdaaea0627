package ext4_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/ext4"
	"github.com/skerry-app/skerry/ext4/ext4test"
	"github.com/skerry-app/skerry/ext4/format"
	"github.com/skerry-app/skerry/ext4/reader"
)

// build makes a file system of size bytes, compact for 0, from what fill gives
// the root.
func build(t *testing.T, size int64, fill func(w *ext4.Writer, root *ext4.Node)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := ext4.NewWriter(f, ext4.Options{Size: size, UUID: [16]byte{1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	root := ext4.NewDir(0o755)
	fill(w, root)
	sum, err := w.Close(root)
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := f.Stat(); err != nil || fi.Size() != sum.Size {
		t.Errorf("file has %d bytes, summary says %d: %v", fi.Size(), sum.Size, err)
	}
	return path
}

func data(t *testing.T, w *ext4.Writer, p []byte) *ext4.Blob {
	t.Helper()
	b, err := w.Data(bytes.NewReader(p), int64(len(p)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// both runs a test for a compact file system and for one with room.
func both(t *testing.T, test func(t *testing.T, size int64)) {
	t.Run("compact", func(t *testing.T) { test(t, 0) })
	t.Run("nominal", func(t *testing.T) { test(t, 8<<30) })
}

// TestFragments writes a file of many extents, so that its tree has blocks on
// two levels, and one over several groups.
func TestFragments(t *testing.T) {
	both(t, func(t *testing.T, size int64) {
		comb := make([]byte, 3000*2*format.BlockSize)
		for i := 0; i < len(comb); i += 2 * format.BlockSize {
			binary.LittleEndian.PutUint64(comb[i+i%format.BlockSize:], uint64(i+1))
		}
		path := build(t, size, func(w *ext4.Writer, root *ext4.Node) {
			root.Set("comb", ext4.NewFile(0o600, data(t, w, comb)))
		})
		ext4test.Fsck(t, path)
		dir, _ := ext4test.Mount(t, path, "ro")
		if got := ext4test.Walk(t, dir)["comb"].Sum; got != fmt.Sprintf("%x", sha256.Sum256(comb)) {
			t.Error("file reads back differently")
		}
	})
}

// TestManyGroups fills more than a group with a file, another one, and
// attributes that many inodes share.
func TestManyGroups(t *testing.T) {
	both(t, func(t *testing.T, size int64) {
		const length = 300 << 20
		seed := [32]byte{1}
		want := sha256.New()
		if _, err := io.CopyN(want, rand.NewChaCha8(seed), length); err != nil {
			t.Fatal(err)
		}
		label := map[string][]byte{"security.selinux": bytes.Repeat([]byte("l"), 200)}
		path := build(t, size, func(w *ext4.Writer, root *ext4.Node) {
			b, err := w.Data(rand.NewChaCha8(seed), length)
			if err != nil {
				t.Fatal(err)
			}
			root.Set("large", ext4.NewFile(0o644, b))
			for i := range 2000 {
				n := ext4.NewFile(0o644, data(t, w, []byte(fmt.Sprint(i))))
				n.Xattrs = label
				root.Set(fmt.Sprint("f", i), n)
			}
		})
		ext4test.Fsck(t, path)
		dir, _ := ext4test.Mount(t, path, "ro")
		m := ext4test.Walk(t, dir)
		if m["large"].Sum != fmt.Sprintf("%x", want.Sum(nil)) {
			t.Error("large file reads back differently")
		}
		for i := range 2000 {
			e := m[fmt.Sprint("f", i)]
			if e.Xattrs["security.selinux"] != strings.Repeat("l", 200) || e.Sum != fmt.Sprintf("%x", sha256.Sum256([]byte(fmt.Sprint(i)))) {
				t.Fatalf("file %d reads back as %+v", i, e)
			}
		}
	})
}

// TestLargeDirectory looks all names of hashed directories up, one of a level
// and one of two, adds to them where there is room, and counts subdirectories
// beyond what a link count can say.
func TestLargeDirectory(t *testing.T) {
	name := func(i int) string {
		return strings.Repeat("ü\xff", i%3) + fmt.Sprint("entry ", i) + strings.Repeat("x", i%200)
	}
	both(t, func(t *testing.T, size int64) {
		counts := map[string]int{"block": 100, "level": 3000, "levels": 30000}
		if size == 0 { // one inode for all names but its limit
			counts["dirs"] = 65100
		}
		path := build(t, size, func(w *ext4.Writer, root *ext4.Node) {
			for sub, n := range counts {
				d := ext4.NewDir(0o755)
				root.Set(sub, d)
				same := ext4.NewFile(0o644, nil)
				for i := range n {
					if sub == "dirs" {
						d.Set(fmt.Sprint(i), ext4.NewDir(0o700))
					} else {
						d.Set(name(i), same)
					}
				}
			}
		})
		ext4test.Fsck(t, path)
		options := "ro"
		if size != 0 {
			options = "rw"
		}
		dir, unmount := ext4test.Mount(t, path, options)
		for sub, n := range counts {
			if sub == "dirs" {
				var st unix.Stat_t
				if err := unix.Stat(filepath.Join(dir, sub), &st); err != nil || st.Nlink != 1 {
					t.Errorf("directory of %d directories has %d links, want 1: %v", n, st.Nlink, err)
				}
				continue
			}
			for i := range n {
				var st unix.Stat_t
				if err := unix.Lstat(filepath.Join(dir, sub, name(i)), &st); err != nil || st.Nlink != uint64(n) {
					t.Fatalf("entry %d of %s has %d links, want %d: %v", i, sub, st.Nlink, n, err)
				}
			}
			if size == 0 {
				continue
			}
			for i := range 500 {
				if err := os.WriteFile(filepath.Join(dir, sub, fmt.Sprint("new", i)), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		unmount()
		ext4test.Fsck(t, path)
	})
}

// TestKinds writes nodes that no archive can have.
func TestKinds(t *testing.T) {
	path := build(t, 0, func(w *ext4.Writer, root *ext4.Node) {
		at := time.Unix(1, 2)
		root.Mtime = at
		root.Set("socket", &ext4.Node{Mode: format.TypeSocket | 0o777, Mtime: at, Xattrs: map[string][]byte{"security.x": nil}})
		root.Set("big", &ext4.Node{Mode: format.TypeBlock, Mtime: at, Major: format.MaxMajor, Minor: format.MaxMinor})
		root.Set("far", &ext4.Node{Mode: format.TypeFIFO, Mtime: time.Unix(1<<40, 0)})
	})
	ext4test.Fsck(t, path)
	dir, _ := ext4test.Mount(t, path, "ro")
	want := ext4test.Manifest{
		".":      {Mode: unix.S_IFDIR | 0o755, Mtime: time.Unix(1, 2).UTC(), Nlink: 2},
		"socket": {Mode: unix.S_IFSOCK | 0o777, Mtime: time.Unix(1, 2).UTC(), Nlink: 1, Xattrs: map[string]string{"security.x": ""}},
		"big":    {Mode: unix.S_IFBLK, Mtime: time.Unix(1, 2).UTC(), Nlink: 1, Major: 4095, Minor: 1<<20 - 1},
		"far":    {Mode: unix.S_IFIFO, Mtime: time.Unix(3<<32+1<<31-1, 999999999).UTC(), Nlink: 1},
	}
	if diff := cmp.Diff(want, ext4test.Walk(t, dir)); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
}

// TestCloseRefuses gives trees that are not file systems.
func TestCloseRefuses(t *testing.T) {
	many := ext4.NewFile(0o644, nil)
	for name, c := range map[string]struct {
		fill func(root *ext4.Node)
		want string
	}{
		"slash":             {func(r *ext4.Node) { r.Set("a/b", ext4.NewDir(0)) }, "name"},
		"dots":              {func(r *ext4.Node) { r.Set("..", ext4.NewDir(0)) }, "name"},
		"long name":         {func(r *ext4.Node) { r.Set(strings.Repeat("n", 256), ext4.NewDir(0)) }, "name"},
		"no type":           {func(r *ext4.Node) { r.Set("a", &ext4.Node{Mode: 0o644}) }, "/a: mode"},
		"link to nothing":   {func(r *ext4.Node) { r.Set("a", &ext4.Node{Mode: format.TypeLink}) }, "/a: symbolic link"},
		"device":            {func(r *ext4.Node) { r.Set("a", &ext4.Node{Mode: format.TypeChar, Major: 4096}) }, "/a: device"},
		"linked directory":  {func(r *ext4.Node) { d := ext4.NewDir(0); r.Set("a", d); r.Set("b", d) }, "/a: directory"},
		"loop":              {func(r *ext4.Node) { d := ext4.NewDir(0); r.Set("a", d); d.Set("b", d) }, "/a: directory"},
		"root in the root":  {func(r *ext4.Node) { r.Set("a", r) }, "root"},
		"system's own":      {func(r *ext4.Node) { r.Xattrs = map[string][]byte{"system.data": nil} }, "system.data"},
		"namespace":         {func(r *ext4.Node) { r.Xattrs = map[string][]byte{"mine.a": nil} }, "mine.a"},
		"too many names":    {func(r *ext4.Node) { nameOften(r, many, format.MaxLinks+1) }, "65001 names"},
		"large attribute":   {func(r *ext4.Node) { r.Xattrs = map[string][]byte{"user.a": make([]byte, 64<<10+1)} }, "65537 bytes"},
		"many attributes":   {func(r *ext4.Node) { r.Xattrs = manyXattrs(200) }, "names of "},
		"broken ACL":        {func(r *ext4.Node) { r.Xattrs = map[string][]byte{format.ACLDefault: []byte("no")} }, "access control list"},
		"long xattr's name": {func(r *ext4.Node) { r.Xattrs = map[string][]byte{"user." + strings.Repeat("n", 256): nil} }, "name is too long"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := os.Create(filepath.Join(t.TempDir(), "image"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			w, err := ext4.NewWriter(f, ext4.Options{})
			if err != nil {
				t.Fatal(err)
			}
			root := ext4.NewDir(0o755)
			c.fill(root)
			if _, err := w.Close(root); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v has no %q", err, c.want)
			}
		})
	}
}

func manyXattrs(n int) map[string][]byte {
	all := map[string][]byte{}
	for i := range n {
		all[fmt.Sprintf("user.%030d", i)] = []byte{byte(i)}
	}
	return all
}

// TestLargeXattrs gives files values that no block has room for: alone, beside
// small ones, shared by files and by names, and at the limit.
func TestLargeXattrs(t *testing.T) {
	both(t, func(t *testing.T, size int64) {
		large, other := bytes.Repeat([]byte("large"), 1000), bytes.Repeat([]byte("other"), 2000)
		xattrs := map[string]map[string][]byte{
			"alone":  {"user.a": large},
			"same":   {"user.a": large},
			"names":  {"user.a": large, "trusted.b": large, "security.c": other},
			"zeros":  {"user.zeros": make([]byte, format.MaxXattr)},
			"block":  {"user.a": bytes.Repeat([]byte("a"), 3000), "user.b": bytes.Repeat([]byte("b"), 2000), "user.c": []byte("c")},
			"beside": manyXattrs(50),
		}
		xattrs["beside"]["user.large"] = large
		for i := range 2 * format.XattrMaxRefs {
			xattrs[fmt.Sprint("shared", i)] = map[string][]byte{"user.a": large}
		}
		path := build(t, size, func(w *ext4.Writer, root *ext4.Node) {
			for name, all := range xattrs {
				n := ext4.NewFile(0o644, data(t, w, []byte(name)))
				n.Xattrs = all
				root.Set(name, n)
			}
			root.Xattrs = xattrs["names"]
		})
		ext4test.Fsck(t, path)
		readXattrs(t, path, xattrs)
		options := "ro"
		if size != 0 {
			options = "rw"
		}
		dir, unmount := ext4test.Mount(t, path, options)
		for name, all := range xattrs {
			want := map[string]string{}
			for key, value := range all {
				want[key] = string(value)
			}
			got := ext4test.Walk(t, filepath.Join(dir, name))["."].Xattrs
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("attributes of %s (-want +got):\n%.2000s", name, diff)
			}
		}
		if size != 0 { // the kernel counts down what it was told
			for _, name := range []string{"alone", "names", "beside"} {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					t.Error(err)
				}
			}
			if err := unix.Setxattr(filepath.Join(dir, "same"), "user.a", other, 0); err != nil {
				t.Error(err)
			}
		}
		unmount()
		ext4test.Fsck(t, path)
	})
}

// readXattrs wants package reader to find the attributes of files in the root.
func readXattrs(t *testing.T, path string, want map[string]map[string][]byte) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := reader.New(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	for name, all := range want {
		info, err := fsys.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := info.Sys().(*reader.Inode).Xattrs()
		if diff := cmp.Diff(all, got); err != nil || diff != "" {
			t.Fatalf("attributes of %s: %v (-want +read):\n%.2000s", name, err, diff)
		}
	}
}

func nameOften(dir, n *ext4.Node, times int) {
	for i := range times {
		dir.Set(fmt.Sprint(i), n)
	}
}

// TestDataTooShort keeps the reader's error apart from a short file.
func TestDataTooShort(t *testing.T) {
	build(t, 0, func(w *ext4.Writer, _ *ext4.Node) {
		if _, err := w.Data(strings.NewReader("abc"), 4); err == nil || !strings.Contains(err.Error(), io.ErrUnexpectedEOF.Error()) {
			t.Errorf("error %v, want %v", err, io.ErrUnexpectedEOF)
		}
		if _, err := w.Data(strings.NewReader(""), format.MaxFile); err == nil {
			t.Error("file of 16 TiB was taken")
		}
	})
}
