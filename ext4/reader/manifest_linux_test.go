package reader_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skerry-app/skerry/ext4/ext4test"
	"github.com/skerry-app/skerry/ext4/reader"
)

// open opens an image.
func open(t testing.TB, image string) *reader.FS {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := reader.New(f, fi.Size())
	if err != nil {
		t.Fatal(err)
	}
	return fsys
}

// manifest is what ext4test.Walk would return if the kernel read like fsys.
func manifest(t testing.TB, fsys *reader.FS) ext4test.Manifest {
	t.Helper()
	m := ext4test.Manifest{}
	first := map[uint32]string{}
	err := fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := fsys.Lstat(path)
		if err != nil {
			return err
		}
		in := fi.Sys().(*reader.Inode)
		e := ext4test.Entry{
			Mode: uint32(in.Mode), UID: in.UID, GID: in.GID, Nlink: uint64(in.Links), Mtime: in.Mtime.UTC(),
			Major: in.Major, Minor: in.Minor,
		}
		switch d.Type() {
		case 0:
			e.Size = fi.Size()
			e.Sum = sum(t, fsys, path)
		case fs.ModeSymlink:
			e.Size = fi.Size()
			if e.Target, err = fsys.ReadLink(path); err != nil {
				return err
			}
		}
		xattrs, err := in.Xattrs()
		if err != nil {
			return err
		}
		for name, value := range xattrs {
			if e.Xattrs == nil {
				e.Xattrs = map[string]string{}
			}
			e.Xattrs[name] = string(value)
		}
		if !d.IsDir() {
			if was, ok := first[in.Number]; ok {
				e.Same = was
			} else {
				first[in.Number] = path
			}
		}
		m[path] = e
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func sum(t testing.TB, fsys *reader.FS, path string) string {
	t.Helper()
	f, err := fsys.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{f}, make([]byte, 1<<20)); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// same compares an image with what the kernel shows of it in dir, and makes an
// archive of it.
func same(t *testing.T, image, dir string) {
	t.Helper()
	want := ext4test.Walk(t, dir)
	fsys := open(t, image)
	if diff := cmp.Diff(want, manifest(t, fsys)); diff != "" {
		t.Errorf("file system (-kernel +reader):\n%.5000s", diff)
	}
	// One file has an attribute that no archive can have.
	if err := fsys.WriteTar(io.Discard, func(path string) bool { return path == "file-1024" }); err != nil {
		t.Error(err)
	}
}
