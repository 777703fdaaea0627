//go:build linux

// Package boot has what the machine's init does before it serves: its mounts
// and its limits.
package boot

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mounts are the machine's own, in order. The container gets others. Control
// groups are not delegated to namespaces (nsdelegate): vminitd could not fork
// into the container's group any more once it has joined its namespace. Forks
// are few, so moves between groups are made the cheap ones (favordynmods).
var mounts = []struct {
	fs, target string
	flags      uintptr
	options    string
}{
	{"devtmpfs", "/dev", unix.MS_NOSUID, ""},
	{"proc", "/proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
	{"sysfs", "/sys", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
	{"tmpfs", "/run", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
	{"cgroup2", "/sys/fs/cgroup", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, "memory_recursiveprot,favordynmods"},
}

// Mount makes the machine's mounts. The kernel may have made that of /dev
// already (CONFIG_DEVTMPFS_MOUNT).
func Mount() error {
	for _, m := range mounts {
		if err := unix.Mount(m.fs, m.target, m.fs, m.flags, m.options); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s on %s: %w", m.fs, m.target, err)
		}
	}
	// The kernel gives it to root alone. A container that has it shares it with
	// nobody, and runs machines as any of its users.
	if err := os.Chmod("/dev/kvm", 0o666); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// maxFiles is how many files a process may have open: what the kernel allows
// at most by itself (fs.nr_open).
const maxFiles = 1 << 20

// SetLimits sets the limits of this process, which the container's inherit:
// they are those that Docker gives.
func SetLimits() error {
	for resource, limit := range map[int]uint64{
		unix.RLIMIT_NOFILE: maxFiles,
		unix.RLIMIT_NPROC:  unix.RLIM_INFINITY, // that is the control group's to limit
		unix.RLIMIT_CORE:   unix.RLIM_INFINITY,
	} {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return fmt.Errorf("set limit %d: %w", resource, err)
		}
	}
	return nil
}

// Protect has the kernel reset the machine as soon as it panics, as it does when
// this process ends, and keeps processes of the container from looking into
// this one's memory, which they share until they are executed (ptrace(2),
// "Ptrace access mode checking").
func Protect() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("make this process undumpable: %w", err)
	}
	if err := os.WriteFile("/proc/sys/kernel/panic", []byte("-1"), 0); err != nil {
		return fmt.Errorf("have a panic reset the machine: %w", err)
	}
	return nil
}
