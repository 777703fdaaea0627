//go:build linux

package launch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// stage is a container's file system while it is being put together: a
// directory of the machine in which every path is resolved as if it were the
// root, whatever symbolic links the image has on the way.
type stage struct{ fd int }

func openStage(dir string) (*stage, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("open the container's root: %w", &os.PathError{Op: "open", Path: dir, Err: err})
	}
	return &stage{fd}, nil
}

func (s *stage) close() { unix.Close(s.fd) }

// pivot makes the stage the root and lets go of the old one (pivot_root(2),
// "pivot_root(".", ".")").
func (s *stage) pivot() error {
	if err := unix.Fchdir(s.fd); err != nil {
		return fmt.Errorf("change root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let go of the old root: %w", err)
	}
	return unix.Chdir("/")
}

// mount mounts a file system onto a directory of the container, which is made
// where it is missing.
func (s *stage) mount(fs, source, target string, flags uintptr, data string) error {
	err := s.at(target, true, func(path string) error { return unix.Mount(source, path, fs, flags, data) })
	if err != nil {
		return fmt.Errorf("mount %s on %s: %w", fs, target, err)
	}
	return nil
}

// bind binds a file or directory of the machine over a path of the container,
// with flags like MS_RDONLY.
func (s *stage) bind(source, target string, flags uintptr) error {
	fail := func(err error) error { return fmt.Errorf("bind %s over %s: %w", source, target, err) }
	st, err := os.Stat(source)
	if err != nil {
		return fail(err)
	}
	err = s.at(target, st.IsDir(), func(path string) error { return unix.Mount(source, path, "", unix.MS_BIND, "") })
	if err == nil && flags != 0 { // a bind takes flags only when it is mounted again
		err = s.at(target, st.IsDir(), func(path string) error {
			return unix.Mount("", path, "", unix.MS_BIND|unix.MS_REMOUNT|flags, "")
		})
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

// bindBelow binds what is below a directory of the machine, and nothing that a
// link there leads to, over a path of the container.
func (s *stage) bindBelow(dir, name, target string, flags uintptr) error {
	fd, err := openBelow(dir, name)
	if err != nil {
		return fmt.Errorf("mount on %s: %w", target, err)
	}
	defer unix.Close(fd)
	if err := s.bind(fmt.Sprintf("/proc/self/fd/%d", fd), target, flags); err != nil {
		return fmt.Errorf("mount %s on %s: %w", name, target, err)
	}
	return nil
}

func openBelow(dir, name string) (int, error) {
	base, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(base)
	fd, err := unix.Openat2(base, name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS})
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: filepath.Join(dir, name), Err: err}
	}
	return fd, nil
}

// at calls f with a path of the machine that stands for one of the container.
func (s *stage) at(target string, directory bool, f func(path string) error) error {
	fd, err := s.open(target, directory, maxLinks)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return f(fmt.Sprintf("/proc/self/fd/%d", fd))
}

// maxLinks bounds how many links that lead nowhere are followed in a path.
const maxLinks = 10

// open opens a path of the container. What is missing of it is made, its last
// part as a directory or an empty file.
func (s *stage) open(path string, directory bool, links int) (int, error) {
	fail := func(err error) (int, error) { return -1, &os.PathError{Op: "open", Path: path, Err: err} }
	if fd, err := s.openAt(path); !errors.Is(err, unix.ENOENT) {
		if err != nil {
			return fail(err)
		}
		return fd, nil
	}
	path = filepath.Clean("/" + path)
	parent, err := s.open(filepath.Dir(path), true, links)
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	err = makeAt(parent, filepath.Base(path), directory)
	if errors.Is(err, unix.EEXIST) && links > 0 {
		// It is there and yet it is not: a link to what is missing.
		var to [unix.PathMax]byte
		n, err := unix.Readlinkat(parent, filepath.Base(path), to[:])
		if err != nil {
			return fail(err)
		}
		target := string(to[:n])
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		return s.open(target, directory, links-1)
	}
	if err != nil {
		return fail(err)
	}
	fd, err := s.openAt(path)
	if err != nil {
		return fail(err)
	}
	return fd, nil
}

func (s *stage) openAt(path string) (int, error) {
	relative := strings.TrimPrefix(filepath.Clean("/"+path), "/")
	if relative == "" {
		relative = "."
	}
	return unix.Openat2(s.fd, relative, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
}

func makeAt(dir int, name string, directory bool) error {
	if directory {
		return unix.Mkdirat(dir, name, 0o755)
	}
	fd, err := unix.Openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}
