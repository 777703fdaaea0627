//go:build linux

package main

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

var systemCalls = []probe{
	{"futex, epoll, eventfd, signalfd, timerfd", eventFiles},
	{"inotify, fanotify", notify},
	{"aio", present(unix.SYS_IO_SETUP)},
	{"io_uring", present(unix.SYS_IO_URING_SETUP)},
	{"userfaultfd", userfault},
	{"membarrier", present(unix.SYS_MEMBARRIER)},
	{"rseq", present(unix.SYS_RSEQ)},
	{"kcmp", present(unix.SYS_KCMP)},
	{"process_vm_readv", present(unix.SYS_PROCESS_VM_READV)},
	{"name_to_handle_at", present(unix.SYS_NAME_TO_HANDLE_AT)},
	{"perf_event_open", present(unix.SYS_PERF_EVENT_OPEN)},
	{"System V IPC", present(unix.SYS_SHMGET)},
	{"seccomp filter", exists("/proc/sys/kernel/seccomp/actions_avail")},
	{"keyring", keyring},
	{"BPF program of a device controller, compiled", deviceProgram},
	{"smaps, io, children of a process", processFiles},
	{"core dumps", exists("/proc/sys/kernel/core_pattern")},
}

// present calls with arguments that no implementation accepts: the kernel has the call unless it says ENOSYS.
func present(number uintptr) func() error {
	return func() error {
		const bad = ^uintptr(0)
		if _, _, errno := unix.Syscall6(number, bad, bad, bad, bad, bad, bad); errno == unix.ENOSYS {
			return errno
		}
		return nil
	}
}

func eventFiles() error {
	// The Go runtime could not have started without futex and epoll.
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	defer unix.Close(event)
	signals, err := unix.Signalfd(-1, &unix.Sigset_t{}, unix.SFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("signalfd: %w", err)
	}
	defer unix.Close(signals)
	timer, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("timerfd: %w", err)
	}
	return unix.Close(timer)
}

func notify() error {
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("inotify: %w", err)
	}
	defer unix.Close(watch)
	permission, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC, unix.O_RDONLY)
	if err != nil {
		return fmt.Errorf("fanotify: %w", err)
	}
	defer unix.Close(permission)
	return unix.FanotifyMark(permission, unix.FAN_MARK_ADD, unix.FAN_OPEN_PERM, unix.AT_FDCWD, "/disk/lower")
}

func userfault() error {
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
	if errno != 0 {
		return errno
	}
	return unix.Close(int(fd))
}

func keyring() error {
	_, err := unix.KeyctlJoinSessionKeyring("probe")
	return err
}

// deviceProgram loads "return 1" as a program of a cgroup's device controller, as a container's device rules are.
func deviceProgram() error {
	if err := contains("/proc/sys/net/core/bpf_jit_enable", "1")(); err != nil {
		return err
	}
	// Two struct bpf_insn: r0 = 1; exit.
	program := [16]byte{0: 0xb7, 4: 1, 8: 0x95}
	license := [4]byte{'G', 'P', 'L'}
	attributes := struct {
		kind, count           uint32
		instructions, license uint64
		rest                  [100]byte
	}{
		kind:         unix.BPF_PROG_TYPE_CGROUP_DEVICE,
		count:        2,
		instructions: uint64(uintptr(unsafe.Pointer(&program))),
		license:      uint64(uintptr(unsafe.Pointer(&license))),
	}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attributes)), unsafe.Sizeof(attributes))
	if errno != 0 {
		return errno
	}
	return unix.Close(int(fd))
}

func processFiles() error {
	for _, name := range []string{"smaps", "pagemap", "io", "task/1/children", "timens_offsets", "cgroup"} {
		if _, err := os.Stat("/proc/self/" + name); err != nil {
			return err
		}
	}
	return nil
}
