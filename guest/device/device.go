//go:build linux

// Package device finds the machine's devices that a container asks for.
package device

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/disk"
)

// Device is a device for a container.
type Device struct {
	Target string // path in the container
	Mode   uint32 // kind and permissions, those of st_mode
	Number uint64 // major and minor, those of st_rdev
	access string
}

// Rule is the device in the words of device control groups.
func (d Device) Rule() string {
	kind := "c"
	if d.Mode&unix.S_IFMT == unix.S_IFBLK {
		kind = "b"
	}
	return fmt.Sprintf("%s %d:%d %s", kind, unix.Major(d.Number), unix.Minor(d.Number), d.access)
}

// Find looks up devices of the machine, in a directory all that are there, and
// disks by their serials.
func Find(asked []*api.Device) ([]Device, error) {
	var found []Device
	for _, a := range asked {
		if a.Disk != "" {
			d, err := findDisk(a)
			if err != nil {
				return nil, err
			}
			found = append(found, d)
			continue
		}
		err := filepath.WalkDir(a.Source, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			var st unix.Stat_t
			if err := unix.Stat(path, &st); err != nil {
				return &os.PathError{Op: "stat", Path: path, Err: err}
			}
			switch st.Mode & unix.S_IFMT {
			case unix.S_IFCHR, unix.S_IFBLK:
				target := a.Target
				if path != a.Source {
					target = filepath.Join(a.Target, path[len(a.Source):])
				}
				found = append(found, Device{target, st.Mode, st.Rdev, a.Access})
			default:
				if path == a.Source && !entry.IsDir() {
					return errors.New("it is no device")
				}
			}
			return nil
		})
		if errors.Is(err, fs.ErrNotExist) {
			err = errors.New("the container's machine has no such device; those of the host are not in it")
		}
		if err != nil {
			return nil, fmt.Errorf("device %s: %w", a.Source, err)
		}
	}
	return found, nil
}

func findDisk(a *api.Device) (Device, error) {
	path, err := disk.Find(a.Disk)
	if err != nil {
		return Device{}, err
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return Device{}, fmt.Errorf("disk %q: %w", a.Disk, &os.PathError{Op: "stat", Path: path, Err: err})
	}
	return Device{a.Target, st.Mode, st.Rdev, a.Access}, nil
}
