package reader_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/ext4/ext4test"
	"github.com/skerry-app/skerry/ext4/layers"
)

// TestTar compares an archive with the file system, once as archive/tar reads
// it and once as GNU tar extracts it.
func TestTar(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	mkfs(t, image, "96m")
	dir, unmount := ext4test.Mount(t, image, "rw")
	populate(t, dir)
	attributes(t, dir, false)
	if err := unix.Lremovexattr(filepath.Join(dir, "file-1024"), "user.binary=strange"); err != nil { // no archive has it
		t.Fatal(err)
	}
	times(t, dir, "file-1", "links", "kinds/fifo", "comb")
	unmount()
	dir, _ = ext4test.Mount(t, image, "ro")
	want := ext4test.Walk(t, dir)
	delete(want, "kinds/socket")

	var archive bytes.Buffer
	if err := open(t, image).WriteTar(&archive, nil); err != nil {
		t.Fatal(err)
	}
	t.Run("archive/tar", func(t *testing.T) {
		if diff := cmp.Diff(want, unpack(t, bytes.NewReader(archive.Bytes()), want)); diff != "" {
			t.Errorf("archive (-kernel +archive):\n%.5000s", diff)
		}
	})
	t.Run("GNU tar", func(t *testing.T) {
		to := t.TempDir()
		cmd := exec.Command("tar", "-C", to, "-xp", "--numeric-owner", "--xattrs", "--xattrs-include=*",
			"--warning=no-timestamp", "--warning=no-unknown-keyword", "-f", "-")
		cmd.Stdin = bytes.NewReader(archive.Bytes())
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("tar: %v: %s", err, out)
		}
		if diff := cmp.Diff(want, ext4test.Walk(t, to)); diff != "" {
			t.Errorf("archive (-kernel +extracted):\n%.5000s", diff)
		}
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(to, "sparse"), &st); err != nil || st.Blocks*512 > 1<<20 {
			t.Errorf("sparse file takes %d bytes: %v", st.Blocks*512, err)
		}
	})
	t.Run("ext4/layers", func(t *testing.T) {
		f, err := os.Create(filepath.Join(t.TempDir(), "image"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		l := layers.Layer{Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(archive.Bytes())), nil
		}}
		if _, err := layers.Write(t.Context(), f, []layers.Layer{l}, layers.Options{ID: digest.FromString("archive")}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, manifest(t, open(t, f.Name()))); diff != "" {
			t.Errorf("image (-kernel +made of the archive):\n%.5000s", diff)
		}
	})
	t.Run("again", func(t *testing.T) {
		var again bytes.Buffer
		if err := open(t, image).WriteTar(&again, nil); err != nil || !bytes.Equal(again.Bytes(), archive.Bytes()) {
			t.Errorf("a second archive is another one: %v", err)
		}
	})
	t.Run("skip", func(t *testing.T) {
		var less bytes.Buffer
		err := open(t, image).WriteTar(&less, func(path string) bool { return path == "lost+found" || path == "links" || path == "many" })
		if err != nil {
			t.Fatal(err)
		}
		left := ext4test.Manifest{}
		for path, e := range want {
			if path != "lost+found" && !strings.HasPrefix(path, "links") && !strings.HasPrefix(path, "many") {
				left[path] = e
			}
		}
		if diff := cmp.Diff(left, unpack(t, &less, want)); diff != "" {
			t.Errorf("archive (-kernel +archive):\n%.5000s", diff)
		}
	})
}

// unpack reads an archive. Link counts, which an archive does not have, are
// those of like.
func unpack(t *testing.T, r io.Reader, like ext4test.Manifest) ext4test.Manifest {
	t.Helper()
	m := ext4test.Manifest{}
	last := ""
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return m
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Clean(h.Name)
		if path <= last && path != "." && filepath.Dir(path) == filepath.Dir(last) {
			t.Errorf("%q comes after %q", path, last)
		}
		last = path
		e := ext4test.Entry{
			Mode: uint32(h.Mode), UID: uint32(h.Uid), GID: uint32(h.Gid), Mtime: h.ModTime.UTC(),
			Major: uint32(h.Devmajor), Minor: uint32(h.Devminor), Nlink: like[path].Nlink,
		}
		switch h.Typeflag {
		case tar.TypeReg:
			e.Mode |= unix.S_IFREG
			e.Size = h.Size
			s := sha256.New()
			if n, err := io.Copy(s, tr); err != nil || n != h.Size {
				t.Fatalf("%s: %d bytes of %d: %v", path, n, h.Size, err)
			}
			e.Sum = fmt.Sprintf("%x", s.Sum(nil))
		case tar.TypeLink:
			e = m[h.Linkname]
			e.Same = h.Linkname
		case tar.TypeSymlink:
			e.Mode |= unix.S_IFLNK
			e.Target, e.Size = h.Linkname, int64(len(h.Linkname))
		case tar.TypeChar:
			e.Mode |= unix.S_IFCHR
		case tar.TypeBlock:
			e.Mode |= unix.S_IFBLK
		case tar.TypeDir:
			e.Mode |= unix.S_IFDIR
		case tar.TypeFifo:
			e.Mode |= unix.S_IFIFO
		}
		for key, value := range h.PAXRecords {
			if name, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
				if e.Xattrs == nil {
					e.Xattrs = map[string]string{}
				}
				e.Xattrs[name] = value
			}
		}
		m[path] = e
	}
}
