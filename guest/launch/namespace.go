//go:build linux

package launch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/device"
)

// join puts the calling thread into all namespaces of a container's first
// process; that of process numbers counts for what the thread forks.
func join(pidfd int) error {
	// Threads share root and working directory, and setns(2) refuses a mount
	// namespace to a thread that does.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare working directory: %w", err)
	}
	const all = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP
	if err := unix.Setns(pidfd, all); err != nil {
		return fmt.Errorf("join the container's namespaces: %w", err)
	}
	return nil
}

// Root says what a container's file system is made of.
type Root struct {
	Stage    string // directory of the machine where it is put together
	Lower    string // directory with the image
	Upper    string // the overlay's writable layer
	Work     string
	Cgroup   string // directory of the container's control group
	ReadOnly bool
	Masked   *api.Paths // nil: the usual ones
	Fixed    *api.Paths // read-only; nil: the usual ones
	Devices  []device.Device
	Shm      int64             // bytes; 0: the usual size
	Mounts   []*api.Mount      // beside the usual ones, outer ones first
	Shares   string            // directory with the host's
	Disks    string            // directory with further disks, by their serials
	Files    map[string]string // path inside the container: file or socket to be bound there
	Sysctls  map[string]string
	Hostname string
	Domain   string
	// PIDs is a pidfd of a process whose PID namespace the container shares;
	// negative: it has its own.
	PIDs int

	masked, readOnly []place
}

// enter puts the calling thread into new namespaces, puts a container's file
// system together there and makes it the root.
func (r *Root) enter(privileged bool) error {
	own := unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC
	if r.PIDs < 0 {
		own |= unix.CLONE_NEWPID
	} else if err := unix.Setns(r.PIDs, unix.CLONE_NEWPID); err != nil {
		return fmt.Errorf("join the PID namespace of other containers: %w", err)
	}
	if err := unix.Unshare(own); err != nil {
		return fmt.Errorf("make the container's namespaces: %w", err)
	}
	// Some belong to the namespaces that are the container's from now on.
	if err := SetSysctls(r.Sysctls); err != nil {
		return err
	}
	hidden, fixed := guarded(r.Masked, maskedPaths, privileged), guarded(r.Fixed, readOnlyPaths, privileged)
	r.masked, r.readOnly = present(hidden, true), present(fixed, true)
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	options := "lowerdir=" + r.Lower + ",upperdir=" + r.Upper + ",workdir=" + r.Work
	if err := unix.Mount("overlay", r.Stage, "overlay", 0, options); err != nil {
		return fmt.Errorf("mount the container's root: %w", err)
	}
	stage, err := openStage(r.Stage)
	if err != nil {
		return err
	}
	defer stage.close()
	if err := stage.mountUsual(r.Cgroup, r.Shm, privileged); err != nil {
		return err
	}
	for _, d := range r.Devices {
		if err := stage.makeDevice(d); err != nil {
			return err
		}
	}
	for _, m := range r.Mounts {
		if err := stage.mountRequested(m, r.Shares, r.Disks); err != nil {
			return err
		}
	}
	for target, source := range r.Files {
		if err := stage.bind(source, target, 0); err != nil {
			return err
		}
	}
	if err := unix.Sethostname([]byte(r.Hostname)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	if err := unix.Setdomainname([]byte(r.Domain)); err != nil {
		return fmt.Errorf("set domain name: %w", err)
	}
	if err := stage.pivot(); err != nil {
		return err
	}
	r.masked, r.readOnly = append(r.masked, present(hidden, false)...), append(r.readOnly, present(fixed, false)...)
	return nil
}

// SetSysctls sets kernel parameters, "net.core.somaxconn": "4096", as the
// calling thread's namespaces have them.
func SetSysctls(settings map[string]string) error {
	for key, value := range settings {
		path := filepath.Join("/proc/sys", filepath.Clean("/"+strings.ReplaceAll(key, ".", "/")))
		if err := os.WriteFile(path, []byte(value), 0); err != nil {
			return fmt.Errorf("set sysctl %s to %q: %w", key, value, err)
		}
	}
	return nil
}

// seal makes the root read-only, if it is to be, once all is in its place.
func (r *Root) seal() error {
	if !r.ReadOnly {
		return nil
	}
	if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("make root read-only: %w", err)
	}
	return nil
}

// finish has the first process do what only it can. Its control group becomes
// the root of what it sees of them, and only inside its PID namespace can that
// be mounted (proc(5)).
func (r *Root) finish(list *calls) {
	list.add("make a namespace of control groups", unix.SYS_UNSHARE, unix.CLONE_NEWCGROUP)
	list.mount("proc", "/proc", "proc", noSuidDevExec, "")
	for _, m := range r.masked {
		if m.directory {
			list.mount("tmpfs", m.path, "tmpfs", unix.MS_RDONLY, "nr_inodes=2")
		} else {
			list.mount("/dev/null", m.path, "", unix.MS_BIND, "")
		}
	}
	for _, m := range r.readOnly {
		list.mount(m.path, m.path, "", unix.MS_BIND|unix.MS_REC, "")
		list.mount("", m.path, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|m.flags, "")
	}
}
