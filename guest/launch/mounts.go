//go:build linux

package launch

import (
	"fmt"
	"os"
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
func (s *stage) mountUsual(cgroup string, privileged bool) error {
	guard := uintptr(unix.MS_RDONLY)
	if privileged {
		guard = 0
	}
	for _, m := range usual {
		flags := m.flags
		if m.guarded {
			flags |= guard
		}
		if err := s.mount(m.fs, m.fs, m.target, flags, m.data); err != nil {
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

func (s *stage) mountRequested(m *api.Mount) error {
	var flags uintptr
	var data []string
	for _, o := range m.Options {
		if f, ok := mountFlags[o]; ok {
			flags |= f
		} else {
			data = append(data, o)
		}
	}
	return s.mount(m.Type, m.Source, m.Target, flags, strings.Join(data, ","))
}

// Docker's default masked and read-only paths: what tells about the machine or
// changes it.
var (
	maskedPaths = []string{"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"}
	readOnlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// place is a path that this kernel has.
type place struct {
	path      string
	directory bool
}

// present looks in the machine's /proc and /sys, which have what the
// container's will have.
func present(paths []string) (there []place) {
	for _, path := range paths {
		if st, err := os.Stat(path); err == nil {
			there = append(there, place{path, st.IsDir()})
		}
	}
	return there
}
