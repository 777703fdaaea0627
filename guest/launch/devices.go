//go:build linux

package launch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/device"
)

// devices are the nodes of a container's /dev (runtime-spec, config-linux.md,
// "Default Devices").
var devices = []struct {
	name         string
	major, minor uint32
}{{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}}

var deviceLinks = []struct{ name, to string }{
	{"ptmx", "pts/ptmx"}, {"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
}

// makeDevices fills the tmpfs that has just been mounted on the container's
// /dev. A privileged container gets all devices that the machine has.
func (s *stage) makeDevices(privileged bool) error {
	dev, err := s.open("/dev", true, maxLinks)
	if err != nil {
		return err
	}
	defer unix.Close(dev)
	for _, d := range devices {
		if err := makeNode(dev, d.name, unix.S_IFCHR|0o666, unix.Mkdev(d.major, d.minor)); err != nil {
			return err
		}
	}
	for _, l := range deviceLinks {
		if err := unix.Symlinkat(l.to, dev, l.name); err != nil {
			return fmt.Errorf("make /dev/%s: %w", l.name, err)
		}
	}
	if privileged {
		return copyDevices("/dev", dev)
	}
	return nil
}

// copyDevices makes the device nodes of a directory in another, but for those
// that are there already and the console, which is a terminal's place.
func copyDevices(from string, to int) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("list devices: %w", err)
		}
		name, err := filepath.Rel(from, path)
		if err != nil || name == "." {
			return err
		}
		switch {
		case entry.IsDir():
			if err := unix.Mkdirat(to, name, 0o755); err != nil {
				return fmt.Errorf("make /dev/%s: %w", name, err)
			}
		case entry.Type()&os.ModeDevice != 0 && name != "console":
			var st unix.Stat_t
			if err := unix.Lstat(path, &st); err != nil {
				return fmt.Errorf("copy device: %w", &os.PathError{Op: "lstat", Path: path, Err: err})
			}
			if err := makeNode(to, name, st.Mode, st.Rdev); err != nil && !errors.Is(err, unix.EEXIST) {
				return err
			}
		}
		return nil
	})
}

// makeDevice makes a device that was asked for, in place of what the image has
// there.
func (s *stage) makeDevice(d device.Device) error {
	fail := func(err error) error { return fmt.Errorf("make device %s: %w", d.Target, err) }
	dir, err := s.open(filepath.Dir(d.Target), true, maxLinks)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(dir)
	name := filepath.Base(d.Target)
	if err := unix.Unlinkat(dir, name, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return fail(err)
	}
	if err := makeNode(dir, name, d.Mode, d.Number); err != nil {
		return fail(err)
	}
	return nil
}

// makeNode makes a device node with the mode that is given, past the umask.
func makeNode(dir int, name string, mode uint32, device uint64) error {
	err := unix.Mknodat(dir, name, mode, int(device))
	if err == nil {
		err = unix.Fchmodat(dir, name, mode&0o7777, 0)
	}
	if err != nil {
		return fmt.Errorf("make /dev/%s: %w", name, err)
	}
	return nil
}
