//go:build linux

// Package boot has what the machine's init does before it serves: its mounts.
package boot

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// mounts are the machine's own, in order. The container gets others.
var mounts = []struct {
	fs, target string
	flags      uintptr
	options    string
}{
	{"devtmpfs", "/dev", unix.MS_NOSUID, ""},
	{"proc", "/proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
	{"sysfs", "/sys", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
	{"tmpfs", "/run", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
	{"cgroup2", "/sys/fs/cgroup", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, "nsdelegate,memory_recursiveprot"},
}

// Mount makes the machine's mounts. The kernel may have made that of /dev
// already (CONFIG_DEVTMPFS_MOUNT).
func Mount() error {
	for _, m := range mounts {
		if err := unix.Mount(m.fs, m.target, m.fs, m.flags, m.options); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s on %s: %w", m.fs, m.target, err)
		}
	}
	return nil
}
