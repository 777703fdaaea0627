//go:build linux

// Package disk finds and mounts the machine's disks.
package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// errUnknown says that there is no such disk.
var errUnknown = errors.New("no disk has this serial")

// Find returns the device of the disk with a serial (virtio 1.2, section
// 5.2.6.1). Serials, not the order of devices, tell disks apart.
func Find(serial string) (string, error) {
	paths, err := filepath.Glob("/sys/block/vd*/serial")
	if err != nil {
		return "", err
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err == nil && strings.TrimSpace(string(data)) == serial {
			return "/dev/" + filepath.Base(filepath.Dir(path)), nil
		}
	}
	return "", fmt.Errorf("disk %q: %w", serial, errUnknown)
}

// poll is how often unmount looks whether a disk is free: nothing tells.
const poll = 5 * time.Millisecond

// unmount unmounts a disk and returns when its file system is complete on it.
// The kernel lets go of a container's mounts some time after its last process,
// and while there are any the file system stays open; a disk that is in use by
// nobody can be opened exclusively (open(2), O_EXCL without O_CREAT). One that
// is not there or not mounted is no error.
func unmount(ctx context.Context, serial, dir string) error {
	device, err := Find(serial)
	if errors.Is(err, errUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	for {
		err := unix.Unmount(dir, 0)
		if err == nil || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) { // is not mounted
			var fd int
			if fd, err = unix.Open(device, unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC, 0); err == nil {
				return unix.Close(fd)
			}
		}
		if !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("unmount disk %q: %w", serial, err)
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return fmt.Errorf("unmount disk %q: %w", serial, context.Cause(ctx))
		}
	}
}
