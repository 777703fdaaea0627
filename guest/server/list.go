//go:build linux

package server

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skerry-app/skerry/guest/api"
)

// containerProcs lists the container's processes, one number a line.
const containerProcs = "/sys/fs/cgroup/container/cgroup.procs"

// ticks is USER_HZ, the unit of times in /proc/[pid]/stat (proc(5)); it is 100
// on every architecture that we run on.
const ticks = 100

func containerPids() ([]int, error) {
	data, err := os.ReadFile(containerProcs)
	if err != nil {
		return nil, fmt.Errorf("list the container's processes: %w", err)
	}
	var pids []int
	for field := range strings.FieldsSeq(string(data)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// signalAll sends a signal to every process of the container.
func signalAll(sig unix.Signal) error {
	pids, err := containerPids()
	for _, pid := range pids {
		if kerr := unix.Kill(pid, sig); kerr != nil && !errors.Is(kerr, unix.ESRCH) {
			err = errors.Join(err, fmt.Errorf("send %v to process %d: %w", sig, pid, kerr))
		}
	}
	return err
}

func listProcesses() ([]*api.ProcessInfo, error) {
	pids, err := containerPids()
	if err != nil {
		return nil, err
	}
	var booted unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &booted); err != nil {
		return nil, err
	}
	boot := time.Now().Add(-time.Duration(booted.Nano()))
	var list []*api.ProcessInfo
	for _, pid := range pids {
		if info, err := describe(pid, boot); err == nil { // it may have ended meanwhile
			list = append(list, info)
		}
	}
	return list, nil
}

// describe reads what proc(5) tells of a process.
func describe(pid int, boot time.Time) (*api.ProcessInfo, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return nil, err
	}
	// The name may hold anything; what follows its last parenthesis is fields.
	text := string(stat)
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	fields := strings.Fields(text[end+1:])
	const state, utime, stime, start, rss = 3, 14, 15, 22, 24 // as proc(5) counts
	if open < 0 || len(fields) <= rss-state {
		return nil, fmt.Errorf("%s/stat is not understood", dir)
	}
	number := func(field int) uint64 {
		n, _ := strconv.ParseUint(fields[field-state], 10, 64)
		return n
	}
	info := &api.ProcessInfo{
		Pid: innerPid(pid), Command: text[open+1 : end],
		CpuNs:     (number(utime) + number(stime)) * uint64(time.Second/ticks),
		RssBytes:  number(rss) * uint64(os.Getpagesize()),
		StartedAt: timestamppb.New(boot.Add(time.Duration(number(start)) * time.Second / ticks)),
	}
	parent, _ := strconv.Atoi(fields[1])
	info.Parent = innerPid(parent)
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err == nil {
		info.User = strconv.Itoa(int(st.Uid))
	}
	if cmdline, err := os.ReadFile(dir + "/cmdline"); err == nil && len(cmdline) > 0 {
		info.Command = strings.TrimSpace(strings.ReplaceAll(string(cmdline), "\x00", " "))
	}
	return info, nil
}

// innerPid returns a process's number as its own PID namespace has it, 0 for
// one that is not in the container.
func innerPid(pid int) int32 {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok {
			f := strings.Fields(numbers)
			if len(f) < 2 {
				return 0
			}
			n, _ := strconv.Atoi(f[len(f)-1])
			return int32(n)
		}
	}
	return 0
}
