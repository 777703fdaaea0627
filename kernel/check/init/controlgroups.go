//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
)

const cgroupRoot = "/sys/fs/cgroup"

var controlGroups = []probe{
	{"controllers", func() error {
		return mentions(cgroupRoot+"/cgroup.controllers", "cpuset", "cpu", "io", "memory", "hugetlb", "pids")
	}},
	{"limits of a group", limits},
	{"pressure", contains("/proc/pressure/memory", "some")},
	{"namespaces", namespaces},
}

// limits makes a group and sets every limit that a container can have.
func limits() error {
	const controllers = "+cpuset +cpu +io +memory +hugetlb +pids"
	if err := os.WriteFile(cgroupRoot+"/cgroup.subtree_control", []byte(controllers), 0); err != nil {
		return err
	}
	group := cgroupRoot + "/probe"
	if err := os.Mkdir(group, 0o755); err != nil {
		return err
	}
	device, err := os.ReadFile("/sys/block/vda/dev")
	if err != nil {
		return err
	}
	for _, limit := range [][2]string{
		{"cpu.max", "50000 100000"},
		{"cpu.weight", "50"},
		{"cpuset.cpus", "0"},
		{"memory.max", "33554432"},
		{"memory.high", "30000000"},
		{"memory.swap.max", "0"},
		{"memory.oom.group", "1"},
		{"pids.max", "10"},
		{"io.max", string(device[:len(device)-1]) + " rbps=1048576 wiops=100"},
		{"io.weight", "50"},
		{"cgroup.freeze", "1"},
		{"cgroup.kill", "1"},
		{"hugetlb.2MB.max", "0"},
		{"memory.pressure", "some 150000 1000000"},
	} {
		if err := os.WriteFile(filepath.Join(group, limit[0]), []byte(limit[1]), 0); err != nil {
			return fmt.Errorf("set %s to %q: %w", limit[0], limit[1], err)
		}
	}
	return nil
}

func namespaces() error {
	for _, kind := range []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"} {
		if _, err := os.Readlink("/proc/self/ns/" + kind); err != nil {
			return err
		}
	}
	return nil
}
