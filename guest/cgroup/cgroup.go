//go:build linux

// Package cgroup divides the machine between vminitd and the container with
// control groups (Documentation/admin-guide/cgroup-v2.rst).
package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
)

const (
	root      = "/sys/fs/cgroup"
	agent     = root + "/agent"
	container = root + "/container"

	// agentMemory is kept for vminitd when the container wants all there is,
	// in bytes.
	agentMemory = 48 << 20
	// period is that of cpu.max, in microseconds.
	period = 100_000
)

// Setup makes the two groups and moves this process into its own.
func Setup() error {
	data, err := os.ReadFile(root + "/cgroup.controllers")
	if err != nil {
		return fmt.Errorf("set up control groups: %w", err)
	}
	var enable []string
	for _, c := range strings.Fields(string(data)) {
		enable = append(enable, "+"+c)
	}
	for _, dir := range []string{agent, container} {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("set up control groups: %w", err)
		}
	}
	return errors.Join(
		write(agent, "cgroup.procs", strconv.Itoa(os.Getpid())),
		write(root, "cgroup.subtree_control", strings.Join(enable, " ")),
		write(agent, "memory.min", strconv.Itoa(agentMemory)),
	)
}

// Open returns the directory of the container's group.
func Open() (*os.File, error) {
	fd, err := unix.Open(container, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the container's control group: %w", err)
	}
	return os.NewFile(uintptr(fd), container), nil
}

// Limit sets the container's limits.
func Limit(r *api.Resources) error {
	if r == nil {
		return nil
	}
	var errs []error
	if r.MemoryBytes > 0 {
		errs = append(errs, write(container, "memory.max", strconv.FormatInt(r.MemoryBytes, 10)))
	}
	if r.CpuQuotaUs > 0 {
		errs = append(errs, write(container, "cpu.max", fmt.Sprintf("%d %d", r.CpuQuotaUs, period)))
	}
	if r.Pids > 0 {
		errs = append(errs, write(container, "pids.max", strconv.FormatInt(r.Pids, 10)))
	}
	return errors.Join(errs...)
}

// OOMKills returns how many processes of the container the kernel has killed
// for want of memory.
func OOMKills() int {
	data, err := os.ReadFile(container + "/memory.events")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			kills, _ := strconv.Atoi(strings.TrimSpace(n))
			return kills
		}
	}
	return 0
}

// Kill kills everything in the container's group.
func Kill() error { return write(container, "cgroup.kill", "1") }

func write(dir, file, value string) error {
	if err := os.WriteFile(filepath.Join(dir, file), []byte(value), 0); err != nil {
		return fmt.Errorf("set %s of control group %s: %w", file, dir, err)
	}
	return nil
}
