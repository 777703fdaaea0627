//go:build linux

// Package disk finds and mounts the machine's disks.
package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Find returns the device of the disk with a serial (virtio 1.2, section
// 5.2.6.1). Serials, not the order of devices, tell disks apart.
func Find(serial string) (string, error) {
	paths, err := filepath.Glob("/sys/block/*/serial")
	if err != nil {
		return "", err
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err == nil && strings.TrimSpace(string(data)) == serial {
			return "/dev/" + filepath.Base(filepath.Dir(path)), nil
		}
	}
	return "", fmt.Errorf("no disk has the serial %q", serial)
}

// Mount mounts an ext4 disk on a directory, which is made.
func Mount(serial, dir string, flags uintptr, options string) error {
	device, err := Find(serial)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := unix.Mount(device, dir, "ext4", flags, options); err != nil {
		return fmt.Errorf("mount disk %q: %w", serial, err)
	}
	return nil
}

// Unmount unmounts a directory; one where nothing is mounted is no error.
func Unmount(dir string) error {
	if err := unix.Unmount(dir, 0); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return nil
}
