//go:build linux

package archive

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// packer writes an archive.
type packer struct {
	tar   *tar.Writer
	links map[[2]uint64]string // files with several names, by device and number
}

// Pack writes what is at a path to w. Its name in the archive is base, and that
// is before the name of everything below it. As docker does, a path that ends
// in "/." is its directory's content, named ".".
func (r Root) Pack(w io.Writer, name string) error {
	fd, err := r.Open(name, nofollow(name))
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	base := path.Base(name) // "." after "/.", "/" of the root
	return PackDescriptor(w, fd, base)
}

// PackDescriptor is Pack for what an O_PATH descriptor refers to.
func PackDescriptor(w io.Writer, fd int, name string) error {
	p := &packer{tar.NewWriter(w), map[[2]uint64]string{}}
	if err := p.add(fd, name); err != nil {
		return err
	}
	return p.tar.Close()
}

// add writes what a descriptor refers to.
func (p *packer) add(fd int, name string) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	h := &tar.Header{Name: name, Mode: int64(st.Mode & 0o7777), Uid: int(st.Uid), Gid: int(st.Gid),
		ModTime: time.Unix(st.Mtim.Sec, st.Mtim.Nsec), Format: tar.FormatPAX}
	var content *os.File
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		h.Typeflag = tar.TypeDir
		h.Name = strings.TrimSuffix(name, "/") + "/"
	case unix.S_IFLNK:
		h.Typeflag = tar.TypeSymlink
		var err error
		if h.Linkname, err = readLink(fd); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	case unix.S_IFCHR, unix.S_IFBLK:
		h.Typeflag = tar.TypeChar
		if st.Mode&unix.S_IFMT == unix.S_IFBLK {
			h.Typeflag = tar.TypeBlock
		}
		h.Devmajor, h.Devminor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	case unix.S_IFREG:
		h.Typeflag = tar.TypeReg
		if first, ok := p.links[[2]uint64{st.Dev, st.Ino}]; ok {
			h.Typeflag, h.Linkname = tar.TypeLink, first
			break
		}
		var err error
		if content, err = os.OpenFile(link(fd), os.O_RDONLY|unix.O_NONBLOCK, 0); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		defer content.Close()
		h.Size = st.Size
		if st.Nlink > 1 {
			p.links[[2]uint64{st.Dev, st.Ino}] = name
		}
	default: // a socket is its program's, which is not copied
		return nil
	}
	h.PAXRecords = attributes(fd, st.Mode)
	if err := p.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if content != nil {
		return p.copy(content, h)
	}
	if h.Typeflag == tar.TypeDir && !kernels(fd) {
		return p.below(fd, h.Name)
	}
	return nil
}

// kernels says whether a directory is the kernel's, with nothing in it that is
// kept and some things that never end.
func kernels(fd int) bool {
	var st unix.Statfs_t
	if unix.Fstatfs(fd, &st) != nil {
		return false
	}
	switch st.Type {
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP2_SUPER_MAGIC:
		return true
	}
	return false
}

// copy writes a file's content, as much as its header says: what changes while
// it is read must not spoil the archive.
func (p *packer) copy(content *os.File, h *tar.Header) error {
	n, err := io.Copy(p.tar, io.LimitReader(content, h.Size))
	if err == nil && n < h.Size {
		_, err = io.CopyN(p.tar, zeros{}, h.Size-n)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	return nil
}

// zeros is an endless reader.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// below writes what a directory has.
func (p *packer) below(fd int, name string) error {
	dir, err := os.Open(link(fd))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	names, err := dir.Readdirnames(-1)
	dir.Close()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	slices.Sort(names)
	for _, entry := range names {
		below, err := unix.Openat(fd, entry, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err == unix.ENOENT { // it went meanwhile
			continue
		}
		if err != nil {
			return fmt.Errorf("%s%s: %w", name, entry, err)
		}
		err = p.add(below, name+entry)
		unix.Close(below)
		if err != nil {
			return err
		}
	}
	return nil
}

// attributes reads the extended attributes of a file or directory into PAX
// records. PAX cannot hold a zero byte in a record's name.
func attributes(fd int, mode uint32) map[string]string {
	if kind := mode & unix.S_IFMT; kind != unix.S_IFREG && kind != unix.S_IFDIR {
		return nil
	}
	list := make([]byte, 64<<10)
	n, err := unix.Listxattr(link(fd), list)
	if err != nil || n == 0 {
		return nil
	}
	records := map[string]string{}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		if strings.HasPrefix(name, "trusted.overlay.") || strings.Contains(name, "=") {
			continue
		}
		value := make([]byte, 64<<10)
		size, err := unix.Getxattr(link(fd), name, value)
		if err != nil || strings.HasPrefix(name, "security.selinux") {
			continue
		}
		records[xattrPrefix+name] = string(value[:size])
	}
	return records
}
