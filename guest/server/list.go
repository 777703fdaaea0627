//go:build linux

package server

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/cgroup"
	"github.com/skerry-app/skerry/guest/process"
)

// ticks is USER_HZ, the unit of times in /proc/[pid]/stat (proc(5)); it is 100
// on every architecture that we run on.
const ticks = 100

func listProcesses(g *cgroup.Group) ([]*api.ProcessInfo, error) {
	pids, err := g.Pids()
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
		Pid: process.InnerPid(pid), Command: text[open+1 : end],
		CpuNs:     (number(utime) + number(stime)) * uint64(time.Second/ticks),
		RssBytes:  number(rss) * uint64(os.Getpagesize()),
		StartedAt: timestamppb.New(boot.Add(time.Duration(number(start)) * time.Second / ticks)),
	}
	parent, _ := strconv.Atoi(fields[1])
	info.Parent = process.InnerPid(parent)
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err == nil {
		info.User = strconv.Itoa(int(st.Uid))
	}
	if cmdline, err := os.ReadFile(dir + "/cmdline"); err == nil && len(cmdline) > 0 {
		info.Command = strings.TrimSpace(strings.ReplaceAll(string(cmdline), "\x00", " "))
	}
	return info, nil
}
