//go:build linux

package launch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
)

const (
	noSuidDev     = unix.MS_NOSUID | unix.MS_NODEV
	noSuidDevExec = noSuidDev | unix.MS_NOEXEC
)

// usual is what every container has (runtime-spec, config-linux.md, "Default
// Filesystems"), as Docker mounts it, beside /proc, which the first process
// mounts.
var usual = []struct {
	fs, target string
	flags      uintptr
	data       string
	guarded    bool // read-only unless privileged
}{
	{"tmpfs", "/dev", unix.MS_NOSUID | unix.MS_STRICTATIME, "mode=755,size=65536k", false},
	{"devpts", "/dev/pts", unix.MS_NOSUID | unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5", false},
	{"tmpfs", "/dev/shm", noSuidDevExec, "mode=1777,size=65536k", false},
	{"mqueue", "/dev/mqueue", noSuidDevExec, "", false},
	{"sysfs", "/sys", noSuidDevExec, "", true},
}

// mountUsual mounts what every container has. Of the control groups it is the
// container's own that is bound, not the root of all.
func (s *stage) mountUsual(cgroup string, shm int64, privileged bool) error {
	guard := uintptr(unix.MS_RDONLY)
	if privileged {
		guard = 0
	}
	for _, m := range usual {
		flags := m.flags
		if m.guarded {
			flags |= guard
		}
		data := m.data
		if m.target == "/dev/shm" && shm > 0 {
			data = fmt.Sprintf("mode=1777,size=%d", shm)
		}
		if err := s.mount(m.fs, m.fs, m.target, flags, data); err != nil {
			return err
		}
		if m.target == "/dev" {
			if err := s.makeDevices(privileged); err != nil {
				return err
			}
		}
	}
	if err := s.at("/proc", true, func(string) error { return nil }); err != nil {
		return fmt.Errorf("make /proc: %w", err)
	}
	return s.bind(cgroup, "/sys/fs/cgroup", noSuidDevExec|guard)
}

// mountFlags are the options of mount(8) that are flags of mount(2).
var mountFlags = map[string]uintptr{
	"ro": unix.MS_RDONLY, "nosuid": unix.MS_NOSUID, "nodev": unix.MS_NODEV, "noexec": unix.MS_NOEXEC, "sync": unix.MS_SYNCHRONOUS,
	"noatime": unix.MS_NOATIME, "nodiratime": unix.MS_NODIRATIME, "relatime": unix.MS_RELATIME, "strictatime": unix.MS_STRICTATIME,
	"rw": 0, "suid": 0, "dev": 0, "exec": 0, "defaults": 0,
}

// mountRequested mounts what the container asks for. The machine's directories
// shares and disks have what can be bound there.
func (s *stage) mountRequested(m *api.Mount, shares, disks string) error {
	var flags uintptr
	var data []string
	for _, o := range m.Options {
		if f, ok := mountFlags[o]; ok {
			flags |= f
		} else {
			data = append(data, o)
		}
	}
	switch m.Type {
	case "tmpfs":
		data = append(s.modeOf(m.Target), data...)
	case "share":
		return s.bindBelow(shares, m.Source, m.Target, flags|unix.MS_NODEV)
	case "disk":
		source := filepath.Join(m.Source, m.Subpath)
		if m.Populate {
			if err := s.populate(disks, source, m.Target); err != nil {
				return fmt.Errorf("fill volume for %s: %w", m.Target, err)
			}
		}
		return s.bindBelow(disks, source, m.Target, flags)
	}
	return s.mount(m.Type, m.Source, m.Target, flags, strings.Join(data, ","))
}

// modeOf is the option that has a tmpfs keep the mode of the directory that it
// is mounted on, as runc does; none if that is yet to be made.
func (s *stage) modeOf(target string) []string {
	fd, err := s.openAt(target)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return nil
	}
	return []string{fmt.Sprintf("mode=%o", st.Mode&0o7777)}
}

// Docker's default masked and read-only paths: what tells about the machine or
// changes it.
var (
	maskedPaths = []string{"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"}
	readOnlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// guarded are the paths that were asked for, or else the usual ones, of which a
// privileged container has none.
func guarded(asked *api.Paths, usual []string, privileged bool) []string {
	switch {
	case asked != nil:
		return asked.Paths
	case privileged:
		return nil
	default:
		return usual
	}
}

// place is a path that there is.
type place struct {
	path      string
	directory bool
	flags     uintptr // of the mount that it is on, as a new one over it must keep them
}

// present finds the paths below /proc, or all others. /proc comes last into
// the container, but the machine's has what the container's will have.
func present(paths []string, proc bool) (there []place) {
	for _, path := range paths {
		path = filepath.Clean("/" + path)
		if strings.HasPrefix(path, "/proc/") != proc {
			continue
		}
		st, err := os.Stat(path)
		if err != nil {
			continue
		}
		p := place{path, st.IsDir(), noSuidDevExec}
		if fs := (unix.Statfs_t{}); !proc && unix.Statfs(path, &fs) == nil {
			p.flags &= uintptr(fs.Flags) // ST_NOSUID is MS_NOSUID, and so on
		}
		there = append(there, p)
	}
	return there
}
