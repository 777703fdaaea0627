//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/launch"
)

// stage is where the container's file system is put together.
const stage = "/run/container/rootfs"

// enterExisting joins all namespaces of a container's first process.
func enterExisting(pidfd int) error {
	defer unix.Close(pidfd)
	// Threads of one process share root and working directory; setns(2)
	// refuses a mount namespace for such a thread.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare working directory: %w", err)
	}
	const all = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP
	if err := unix.Setns(pidfd, all); err != nil {
		return fmt.Errorf("join the container's namespaces: %w", err)
	}
	return nil
}

// enterNew puts a container's file system together and makes it the root.
// vminitd has cloned this process into new namespaces.
func enterNew(r launch.Root, privileged bool) error {
	// The container's control group is the root of what it sees of them.
	if err := unix.Unshare(unix.CLONE_NEWCGROUP | unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare control groups: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := mountRoot(r); err != nil {
		return err
	}
	if err := mountUsual(privileged); err != nil {
		return err
	}
	if err := mountRequested(r.Mounts); err != nil {
		return err
	}
	if err := bindFiles(r.Files); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(r.Hostname)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	if err := unix.Setdomainname([]byte(r.Domain)); err != nil {
		return fmt.Errorf("set domain name: %w", err)
	}
	if err := pivot(); err != nil {
		return err
	}
	if !privileged {
		if err := maskPaths(); err != nil {
			return err
		}
	}
	if r.ReadOnly {
		if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
			return fmt.Errorf("make root read-only: %w", err)
		}
	}
	return nil
}

func mountRoot(r launch.Root) error {
	options := "lowerdir=" + r.Lower + ",upperdir=" + r.Upper + ",workdir=" + r.Work
	if err := unix.Mount("overlay", stage, "overlay", 0, options); err != nil {
		return fmt.Errorf("mount the container's root: %w", err)
	}
	return nil
}

// usual is what every container has (runtime-spec, config-linux.md, "Default
// Filesystems").
var usual = []struct {
	fs, target string
	flags      uintptr
	options    string
	lockedRO   bool // read-only unless privileged
}{
	{"proc", "/proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, "", false},
	{"tmpfs", "/dev", unix.MS_NOSUID | unix.MS_STRICTATIME, "mode=755,size=65536k", false},
	{"devpts", "/dev/pts", unix.MS_NOSUID | unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5", false},
	{"tmpfs", "/dev/shm", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, "mode=1777,size=65536k", false},
	{"mqueue", "/dev/mqueue", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, "", false},
	{"sysfs", "/sys", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, "", true},
	{"cgroup2", "/sys/fs/cgroup", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_RELATIME, "nsdelegate", true},
}

func mountUsual(privileged bool) error {
	for _, m := range usual {
		flags := m.flags
		if m.lockedRO && !privileged {
			flags |= unix.MS_RDONLY
		}
		if err := mountInside(m.fs, m.fs, m.target, flags, m.options); err != nil {
			return err
		}
		if m.target == "/dev" {
			if err := makeDevices(); err != nil {
				return err
			}
		}
	}
	return nil
}

// mountInside mounts onto a path of the container. The path is resolved inside
// the container, whatever symbolic links the image has on the way.
func mountInside(fs, source, target string, flags uintptr, options string) error {
	fd, err := openInside(target, true)
	if err != nil {
		return fmt.Errorf("mount %s on %s: %w", fs, target, err)
	}
	defer unix.Close(fd)
	if err := unix.Mount(source, fmt.Sprintf("/proc/self/fd/%d", fd), fs, flags, options); err != nil {
		return fmt.Errorf("mount %s on %s: %w", fs, target, err)
	}
	return nil
}

// openInside opens a path of the container being put together, and makes it
// first, as a directory or an empty file, where it is missing.
func openInside(path string, directory bool) (int, error) {
	root, err := unix.Open(stage, unix.O_PATH|unix.O_CLOEXEC|unix.O_DIRECTORY, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(root)
	at := root
	parts := strings.Split(strings.Trim(filepath.Clean("/"+path), "/"), "/")
	for i := range parts {
		sub := strings.Join(parts[:i+1], "/")
		last := i == len(parts)-1
		fd, err := openAt(root, sub)
		if errors.Is(err, unix.ENOENT) {
			if err = makeAt(at, parts[i], directory || !last); err == nil {
				fd, err = openAt(root, sub)
			}
		}
		if at != root {
			unix.Close(at)
		}
		if err != nil {
			return -1, &os.PathError{Op: "open", Path: path, Err: err}
		}
		at = fd
	}
	if at == root {
		return unix.Dup(root)
	}
	return at, nil
}

func openAt(root int, path string) (int, error) {
	return unix.Openat2(root, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
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

// devices are the nodes of a container's /dev (runtime-spec, "Default
// Devices").
var devices = []struct {
	name         string
	major, minor uint32
}{{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}}

var deviceLinks = []struct{ name, to string }{
	{"ptmx", "pts/ptmx"}, {"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
}

// makeDevices fills the tmpfs that has just been mounted on the container's
// /dev.
func makeDevices() error {
	dev, err := openInside("/dev", true)
	if err != nil {
		return err
	}
	defer unix.Close(dev)
	for _, d := range devices {
		if err := unix.Mknodat(dev, d.name, unix.S_IFCHR|0o666, int(unix.Mkdev(d.major, d.minor))); err != nil {
			return fmt.Errorf("make /dev/%s: %w", d.name, err)
		}
		if err := unix.Fchmodat(dev, d.name, 0o666, 0); err != nil { // past the umask
			return fmt.Errorf("make /dev/%s: %w", d.name, err)
		}
	}
	for _, l := range deviceLinks {
		if err := unix.Symlinkat(l.to, dev, l.name); err != nil {
			return fmt.Errorf("make /dev/%s: %w", l.name, err)
		}
	}
	return nil
}

// mountFlags are the options that are flags of mount(2).
var mountFlags = map[string]uintptr{
	"ro": unix.MS_RDONLY, "nosuid": unix.MS_NOSUID, "nodev": unix.MS_NODEV, "noexec": unix.MS_NOEXEC, "sync": unix.MS_SYNCHRONOUS,
	"noatime": unix.MS_NOATIME, "nodiratime": unix.MS_NODIRATIME, "relatime": unix.MS_RELATIME, "strictatime": unix.MS_STRICTATIME,
	"rw": 0, "suid": 0, "dev": 0, "exec": 0, "defaults": 0,
}

func mountRequested(mounts []launch.Mount) error {
	for _, m := range mounts {
		var flags uintptr
		var data []string
		for _, o := range m.Options {
			if f, ok := mountFlags[o]; ok {
				flags |= f
			} else {
				data = append(data, o)
			}
		}
		if err := mountInside(m.Type, m.Source, m.Target, flags, strings.Join(data, ",")); err != nil {
			return err
		}
	}
	return nil
}

// bindFiles binds files of vminitd over paths of the container, so that they
// are not part of its own data.
func bindFiles(files map[string]string) error {
	for target, source := range files {
		fd, err := openInside(target, false)
		if err != nil {
			return fmt.Errorf("write %s: %w", target, err)
		}
		err = unix.Mount(source, fmt.Sprintf("/proc/self/fd/%d", fd), "", unix.MS_BIND, "")
		unix.Close(fd)
		if err != nil {
			return fmt.Errorf("write %s: %w", target, err)
		}
	}
	return nil
}

// pivot makes the stage the root and lets go of the old one (pivot_root(2),
// "pivot_root(".", ".")").
func pivot() error {
	if err := unix.Chdir(stage); err != nil {
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

// Docker's default masked and read-only paths.
var (
	maskedPaths = []string{"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"}
	readOnlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

func maskPaths() error {
	for _, path := range maskedPaths {
		st, err := os.Stat(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil && st.IsDir() {
			err = unix.Mount("tmpfs", path, "tmpfs", unix.MS_RDONLY, "size=0")
		} else if err == nil {
			err = unix.Mount("/dev/null", path, "", unix.MS_BIND, "")
		}
		if err != nil {
			return fmt.Errorf("mask %s: %w", path, err)
		}
	}
	for _, path := range readOnlyPaths {
		err := unix.Mount(path, path, "", unix.MS_BIND|unix.MS_REC, "")
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err == nil {
			err = unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
		}
		if err != nil {
			return fmt.Errorf("make %s read-only: %w", path, err)
		}
	}
	return nil
}
