//go:build linux

package server

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/disk"
)

// unmountShares has what programs have written into the host's directories by
// mapping files go there, and lets go of them.
func unmountShares() error {
	fd, err := unix.Open(sharesDir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: sharesDir, Err: err}
	}
	err = unix.Syncfs(fd)
	unix.Close(fd)
	if err != nil {
		return fmt.Errorf("write to the host's directories: %w", err)
	}
	if err := unix.Unmount(sharesDir, 0); err != nil && err != unix.EINVAL { // was not mounted
		return fmt.Errorf("unmount the host's directories: %w", err)
	}
	return nil
}

// furtherDisk is a disk that mounts come from.
type furtherDisk struct {
	serial, fileSystem string
	readOnly           bool // in all of them
}

func furtherDisks(mounts []*api.Mount) (disks []furtherDisk) {
	for _, m := range mounts {
		if m.Type != "disk" {
			continue
		}
		readOnly := slices.Contains(m.Options, "ro")
		i := slices.IndexFunc(disks, func(d furtherDisk) bool { return d.serial == m.Source })
		if i < 0 {
			disks = append(disks, furtherDisk{m.Source, m.FileSystem, readOnly})
		} else if !readOnly {
			disks[i].readOnly = false
		}
	}
	return disks
}

// dir is where the disk is mounted in the machine.
func (d *furtherDisk) dir() string { return filepath.Join(disksDir, filepath.Base(d.serial)) }

// mountSources mounts in the machine what the container's mounts come from.
func mountSources(disks []furtherDisk, shareTag string) error {
	if shareTag != "" {
		if err := os.MkdirAll(sharesDir, 0o700); err != nil {
			return err
		}
		if err := unix.Mount(shareTag, sharesDir, "virtiofs", unix.MS_NODEV, ""); err != nil {
			return fmt.Errorf("mount the host's directories: %w", err)
		}
	}
	for _, d := range disks {
		flags := uintptr(unix.MS_NOATIME)
		if d.readOnly {
			flags |= unix.MS_RDONLY
		}
		if err := disk.MountType(d.fileSystem, d.serial, d.dir(), flags); err != nil {
			return err
		}
	}
	return nil
}
