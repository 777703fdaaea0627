package main

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// pack writes a tree as the tar archive of a layer. What overlayfs keeps of
// deletions becomes whiteouts.
func pack(dir string, w io.Writer) error {
	p := packer{dir: dir, w: tar.NewWriter(w), names: map[uint64]string{}}
	if err := filepath.WalkDir(dir, p.add); err != nil {
		return fmt.Errorf("pack %s: %w", dir, err)
	}
	return p.w.Close()
}

type packer struct {
	dir   string
	w     *tar.Writer
	names map[uint64]string // of inodes with several
}

func (p *packer) add(path string, d fs.DirEntry, err error) error {
	if err != nil || path == p.dir {
		return err
	}
	info, err := d.Info()
	if err != nil {
		return err
	}
	st := info.Sys().(*syscall.Stat_t)
	name, err := filepath.Rel(p.dir, path)
	if err != nil || st.Mode&syscall.S_IFMT == syscall.S_IFSOCK {
		return err
	}
	if st.Mode&syscall.S_IFMT == syscall.S_IFCHR && st.Rdev == 0 {
		return p.whiteout(filepath.Dir(name), ".wh."+filepath.Base(name))
	}
	target := ""
	if d.Type()&fs.ModeSymlink != 0 {
		if target, err = os.Readlink(path); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	h.Name, h.Format = name, tar.FormatPAX
	h.Uname, h.Gname, h.AccessTime, h.ChangeTime = "", "", h.ModTime, h.ModTime
	opaque, err := xattrs(path, h)
	if err != nil {
		return err
	}
	if d.IsDir() {
		h.Name += "/"
	} else if st.Nlink > 1 {
		if first, ok := p.names[st.Ino]; ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
		} else {
			p.names[st.Ino] = name
		}
	}
	if err := p.w.WriteHeader(h); err != nil {
		return err
	}
	if opaque {
		return p.whiteout(name, ".wh..wh..opq")
	}
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(p.w, f)
	return err
}

func (p *packer) whiteout(dir, name string) error {
	return p.w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: filepath.Join(dir, name), Mode: 0o600, Format: tar.FormatPAX})
}

// xattrs puts extended attributes into a header, and says whether overlayfs
// has the directory hide those below.
func xattrs(path string, h *tar.Header) (opaque bool, err error) {
	list := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, list)
	if err != nil {
		return false, err
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return false, err
		}
		if strings.HasPrefix(name, "trusted.overlay.") {
			opaque = opaque || name == "trusted.overlay.opaque" && value[0] == 'y'
			continue
		}
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords["SCHILY.xattr."+name] = string(value[:n])
	}
	return opaque, nil
}
