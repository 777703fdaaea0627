//go:build linux

// Package cgroup divides the machine between vminitd and the container with
// control groups (Documentation/admin-guide/cgroup-v2.rst).
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
)

// Container is the directory of the container's group.
const Container = root + "/container"

const (
	root  = "/sys/fs/cgroup"
	agent = root + "/agent"

	// agentMemory is kept for vminitd when the container wants all there is,
	// in bytes.
	agentMemory = 48 << 20
	// period is that of cpu.max, in microseconds.
	period = 100_000
)

// controllers are those that limit and count what a container uses.
const controllers = "+cpuset +cpu +io +memory +pids"

// Setup makes the two groups, moves this process into its own and opens the
// directory of the container's. The kernel waits several times for all CPUs
// meanwhile, so that it is better not waited for.
func Setup() (*os.File, error) {
	for _, dir := range []string{agent, Container} {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("set up control groups: %w", err)
		}
	}
	err := errors.Join(
		write(agent, "cgroup.procs", strconv.Itoa(os.Getpid())),
		write(root, "cgroup.subtree_control", controllers),
		write(agent, "memory.min", strconv.Itoa(agentMemory)),
		AllowDevices(nil), // most containers are content with that
	)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Open(Container, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the container's control group: %w", err)
	}
	return os.NewFile(uintptr(fd), Container), nil
}

// Limit sets the container's limits.
func Limit(r *api.Resources) error {
	var errs []error
	number := func(file string, n int64) {
		if n > 0 {
			errs = append(errs, write(Container, file, strconv.FormatInt(n, 10)))
		}
	}
	text := func(file, value string) {
		if value != "" {
			errs = append(errs, write(Container, file, value))
		}
	}
	number("memory.max", r.GetMemoryBytes())
	number("memory.low", r.GetMemoryLowBytes())
	if n := r.GetSwapBytes(); n > 0 {
		number("memory.swap.max", n)
		errs = append(errs, write(agent, "memory.swap.max", "0")) // vminitd answers at once
	}
	number("pids.max", r.GetPids())
	number("cpu.weight", int64(r.GetCpuWeight()))
	if n := r.GetCpuQuotaUs(); n > 0 {
		text("cpu.max", fmt.Sprintf("%d %d", n, period))
	}
	text("cpuset.cpus", r.GetCpus())
	text("cpuset.mems", r.GetMemoryNodes())
	for _, l := range r.GetIo() {
		errs = append(errs, limitIO(l))
	}
	return errors.Join(errs...)
}

// limitIO sets what has a limit; the rest stays as it is.
func limitIO(l *api.IOLimit) error {
	var st unix.Stat_t
	if err := unix.Stat(l.Device, &st); err != nil {
		return fmt.Errorf("limit the use of the machine's device %s: %w", l.Device, err)
	}
	line := fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	for _, limit := range []struct {
		key string
		n   uint64
	}{{"rbps", l.ReadBytes}, {"wbps", l.WriteBytes}, {"riops", l.ReadOperations}, {"wiops", l.WriteOperations}} {
		if limit.n > 0 {
			line += fmt.Sprintf(" %s=%d", limit.key, limit.n)
		}
	}
	return write(Container, "io.max", line)
}

// OOMKills returns how many processes of the container the kernel has killed
// for want of memory.
func OOMKills() int {
	data, err := os.ReadFile(Container + "/memory.events")
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

// Pids lists the container's processes, those in groups that it has made for
// itself too.
func Pids() ([]int, error) {
	var pids []int
	err := filepath.WalkDir(Container, func(path string, d fs.DirEntry, err error) error {
		if err != nil && path == Container {
			return err
		}
		if err != nil || !d.IsDir() {
			return nil // a group may go while we look
		}
		data, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if err != nil {
			return nil // as may be, or a group of threads, which its parent lists
		}
		for field := range strings.FieldsSeq(string(data)) {
			if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the container's processes: %w", err)
	}
	return pids, nil
}

// Signal sends a signal to every process of the container. SIGKILL reaches
// even those that are being forked meanwhile.
func Signal(sig unix.Signal) error {
	if sig == unix.SIGKILL {
		return write(Container, "cgroup.kill", "1")
	}
	pids, err := Pids()
	for _, pid := range pids {
		if kerr := unix.Kill(pid, sig); kerr != nil && !errors.Is(kerr, unix.ESRCH) {
			err = errors.Join(err, fmt.Errorf("send signal %d to process %d: %w", sig, pid, kerr))
		}
	}
	return err
}

func write(dir, file, value string) error {
	if err := os.WriteFile(filepath.Join(dir, file), []byte(value), 0); err != nil {
		return fmt.Errorf("set %s of control group %s: %w", file, dir, err)
	}
	return nil
}
