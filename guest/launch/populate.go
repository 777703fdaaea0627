//go:build linux

package launch

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/archive"
)

// populate fills a directory below one of the machine's, if it is empty, with
// what the container has at the target, as Docker does with a new volume.
func (s *stage) populate(dir, name, target string) error {
	to, err := openBelow(dir, name)
	if err != nil {
		return err
	}
	defer unix.Close(to)
	empty, err := isEmpty(to)
	if err != nil || !empty {
		return err
	}
	from, err := s.openAt(target)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: target, Err: err}
	}
	defer unix.Close(from)
	var st unix.Stat_t
	if err := unix.Fstat(from, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return err // a file there will be told of by the mount
	}
	r, w := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := archive.PackDescriptor(w, from, ".")
		w.CloseWithError(err)
		packed <- err
	}()
	err = archive.Root(to).Unpack(r, "/", archive.Options{})
	r.CloseWithError(err) // the packer does not wait for one who has given up
	return errors.Join(err, <-packed)
}

func isEmpty(fd int) (bool, error) {
	dir, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	f := os.NewFile(uintptr(dir), ".")
	defer f.Close()
	if _, err := f.Readdirnames(1); err != io.EOF {
		return false, err
	}
	return true, nil
}
