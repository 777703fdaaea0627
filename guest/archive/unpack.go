//go:build linux

package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNotDirectory says that there is no directory to unpack into.
var ErrNotDirectory = errors.New("it is not a directory")

// ErrKind says that a file is in the place of a directory or the other way
// round.
var ErrKind = errors.New("one is a directory and the other is not")

// Options say how to unpack.
type Options struct {
	// KeepKinds refuses to put a file in place of a directory, or the other
	// way round.
	KeepKinds bool
}

// unpacker unpacks an archive.
type unpacker struct {
	root Root
	to   string
	o    Options
	// Directories get their times when all that is in them is there.
	directories []*tar.Header
}

// Unpack unpacks an archive into the directory at a path.
func (r Root) Unpack(from io.Reader, to string, o Options) error {
	fd, err := r.Open(to, 0)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	unix.Close(fd)
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return fmt.Errorf("%s: %w", to, ErrNotDirectory)
	}
	u := &unpacker{root: r, to: to, o: o}
	for t := tar.NewReader(from); ; {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
		if err := u.unpack(h, t); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	for i := len(u.directories) - 1; i >= 0; i-- {
		h := u.directories[i]
		if fd, err := u.root.Open(u.path(h.Name), unix.O_NOFOLLOW); err == nil {
			setTimes(fd, h)
			unix.Close(fd)
		}
	}
	return nil
}

// path is an entry's path in the container.
func (u *unpacker) path(name string) string { return path.Join(u.to, path.Clean("/"+name)) }

func (u *unpacker) unpack(h *tar.Header, content io.Reader) error {
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		return nil
	case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeFifo, tar.TypeChar, tar.TypeBlock:
	default:
		return fmt.Errorf("an entry of type %q cannot be unpacked", h.Typeflag)
	}
	clean := path.Clean("/" + h.Name)
	if clean == "/" { // the directory itself, which is there
		if h.Typeflag != tar.TypeDir {
			return ErrKind
		}
		return u.finishDirectory(h)
	}
	parent, err := u.parent(path.Dir(clean))
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	name := path.Base(clean)
	if err := u.clear(parent, name, h.Typeflag == tar.TypeDir); err != nil {
		return err
	}
	return u.make(parent, name, h, content)
}

// parent opens the directory around an entry and makes what is missing of it.
func (u *unpacker) parent(dir string) (int, error) {
	full := path.Join(u.to, dir)
	fd, err := u.root.Open(full, unix.O_DIRECTORY)
	if !errors.Is(err, unix.ENOENT) || dir == "/" {
		return fd, err
	}
	above, err := u.parent(path.Dir(dir))
	if err != nil {
		return -1, err
	}
	err = unix.Mkdirat(above, path.Base(dir), 0o755)
	unix.Close(above)
	if err != nil && err != unix.EEXIST {
		return -1, err
	}
	return u.root.Open(full, unix.O_DIRECTORY)
}

// clear takes away what is in the place of an entry, unless both are
// directories.
func (u *unpacker) clear(parent int, name string, directory bool) error {
	var st unix.Stat_t
	if err := unix.Fstatat(parent, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil // nothing
	}
	there := st.Mode&unix.S_IFMT == unix.S_IFDIR
	switch {
	case there && directory:
		return nil
	case there != directory && u.o.KeepKinds:
		return fmt.Errorf("cannot overwrite: %w", ErrKind)
	case there:
		return removeAll(parent, name)
	}
	return unix.Unlinkat(parent, name, 0)
}

// removeAll removes a directory and all in it.
func removeAll(parent int, name string) error {
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	dir := os.NewFile(uintptr(fd), name)
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, entry := range names {
		err := unix.Unlinkat(fd, entry, 0)
		if err == unix.EISDIR {
			err = removeAll(fd, entry)
		}
		if err != nil {
			return err
		}
	}
	return unix.Unlinkat(parent, name, unix.AT_REMOVEDIR)
}

// make makes an entry.
func (u *unpacker) make(parent int, name string, h *tar.Header, content io.Reader) error {
	switch h.Typeflag {
	case tar.TypeDir:
		if err := unix.Mkdirat(parent, name, 0o700); err != nil && err != unix.EEXIST {
			return err
		}
		return u.finishDirectory(h)
	case tar.TypeLink:
		old, err := u.root.Open(u.path(h.Linkname), unix.O_NOFOLLOW)
		if err != nil {
			return err
		}
		defer unix.Close(old)
		return unix.Linkat(old, "", parent, name, unix.AT_EMPTY_PATH)
	case tar.TypeSymlink:
		if err := unix.Symlinkat(h.Linkname, parent, name); err != nil {
			return err
		}
	case tar.TypeReg:
		if err := writeFile(parent, name, content); err != nil {
			return err
		}
	default:
		kind := map[byte]uint32{tar.TypeFifo: unix.S_IFIFO, tar.TypeChar: unix.S_IFCHR, tar.TypeBlock: unix.S_IFBLK}[h.Typeflag]
		device := unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))
		if err := unix.Mknodat(parent, name, kind|0o600, int(device)); err != nil {
			return err
		}
	}
	fd, err := unix.Openat(parent, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := u.finish(fd, h); err != nil {
		return err
	}
	return setTimes(fd, h)
}

// sparse is the unit in which stretches of zeros are left out of a file.
const sparse = 64 << 10

func writeFile(parent int, name string, content io.Reader) error {
	fd, err := unix.Openat(parent, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	buffer := make([]byte, sparse)
	size := int64(0)
	for {
		n, err := io.ReadFull(content, buffer)
		if n > 0 && strings.Trim(string(buffer[:n]), "\x00") != "" {
			if _, err := f.WriteAt(buffer[:n], size); err != nil {
				return err
			}
		}
		size += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	return f.Close()
}

// finishDirectory gives a directory what its header says, but for its times.
func (u *unpacker) finishDirectory(h *tar.Header) error {
	fd, err := u.root.Open(u.path(h.Name), unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	u.directories = append(u.directories, h)
	return u.finish(fd, h)
}

// finish gives a file its owner, attributes and mode, in this order: a new
// owner takes rights away.
func (u *unpacker) finish(fd int, h *tar.Header) error {
	if err := unix.Fchownat(fd, "", h.Uid, h.Gid, unix.AT_EMPTY_PATH); err != nil {
		return fmt.Errorf("give it to %d:%d: %w", h.Uid, h.Gid, err)
	}
	if h.Typeflag == tar.TypeSymlink {
		return nil
	}
	for key, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(key, xattrPrefix)
		if !ok {
			continue
		}
		if err := unix.Setxattr(link(fd), name, []byte(value), 0); err != nil && err != unix.ENOTSUP && err != unix.EPERM {
			return fmt.Errorf("set attribute %s: %w", name, err)
		}
	}
	return unix.Fchmodat(unix.AT_FDCWD, link(fd), uint32(h.Mode&0o7777), 0)
}

func setTimes(fd int, h *tar.Header) error {
	accessed := h.AccessTime
	if accessed.IsZero() {
		accessed = h.ModTime
	}
	times := []unix.Timespec{{Sec: accessed.Unix(), Nsec: int64(accessed.Nanosecond())}, {Sec: h.ModTime.Unix(), Nsec: int64(h.ModTime.Nanosecond())}}
	return unix.UtimesNanoAt(fd, "", times, unix.AT_EMPTY_PATH)
}
