package ext4test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Entry is what the kernel says of one path.
type Entry struct {
	Mode     uint32 // as st_mode of stat(2)
	UID, GID uint32
	Mtime    time.Time
	Size     int64  // of files and symbolic links
	Sum      string // SHA-256 of a file's contents
	Target   string
	Major    uint32
	Minor    uint32
	Nlink    uint64
	Xattrs   map[string]string
	Same     string // the first path of the same inode, when it is another one
}

// Manifest is a file system by path; the root is ".".
type Manifest map[string]Entry

// Walk reads everything below dir, or fails the test.
func Walk(t testing.TB, dir string) Manifest {
	t.Helper()
	m, err := Read(dir)
	if err != nil {
		t.Fatalf("walk: %v", err)
	}
	return m
}

// Read reads everything below dir.
func Read(dir string) (Manifest, error) {
	m := Manifest{}
	first := map[uint64]string{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil {
			return fmt.Errorf("lstat %s: %w", path, err)
		}
		e := Entry{
			Mode: st.Mode, UID: st.Uid, GID: st.Gid, Nlink: uint64(st.Nlink),
			Mtime: time.Unix(st.Mtim.Unix()).UTC(),
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			e.Size = st.Size
			e.Sum, err = sum(path)
		case unix.S_IFLNK:
			e.Size = st.Size
			e.Target, err = os.Readlink(path)
		case unix.S_IFCHR, unix.S_IFBLK:
			e.Major, e.Minor = unix.Major(st.Rdev), unix.Minor(st.Rdev)
		}
		if err != nil {
			return err
		}
		if e.Xattrs, err = xattrs(path); err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			if was, ok := first[st.Ino]; ok {
				e.Same = was
			} else {
				first[st.Ino] = rel
			}
		}
		m[rel] = e
		return nil
	})
	return m, err
}

func sum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

func xattrs(path string) (map[string]string, error) {
	list := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, list)
	if err != nil || n == 0 {
		return nil, err
	}
	all := map[string]string{}
	for _, name := range strings.Split(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return nil, fmt.Errorf("attribute %s of %s: %w", name, path, err)
		}
		all[name] = string(value[:n])
	}
	return all, nil
}
