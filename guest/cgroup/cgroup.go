//go:build linux

// Package cgroup divides the machine between vminitd and the containers with
// control groups (Documentation/admin-guide/cgroup-v2.rst).
package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
)

const (
	root  = "/sys/fs/cgroup"
	agent = root + "/agent"
	// first is the group of the machine's first container.
	first = "container"

	// agentMemory is kept for vminitd when the containers want all there is,
	// in bytes.
	agentMemory = 48 << 20
	// period is that of cpu.max, in microseconds.
	period = 100_000
)

// controllers are those that limit and count what a container uses.
const controllers = "+cpuset +cpu +io +memory +pids"

// Group is the control group of one container.
type Group struct {
	path string
	dir  *os.File
}

// Setup makes the agent's group, moves this process into it, and makes the group
// of the first container. The kernel waits several times for all CPUs
// meanwhile, so that it is better not waited for.
func Setup() (*Group, error) {
	if err := makeDir(agent); err != nil {
		return nil, err
	}
	err := errors.Join(
		write(agent, "cgroup.procs", strconv.Itoa(os.Getpid())),
		write(root, "cgroup.subtree_control", controllers),
		write(agent, "memory.min", strconv.Itoa(agentMemory)),
	)
	if err != nil {
		return nil, err
	}
	return newGroup(first)
}

// Agent opens the directory of the agent's group.
func Agent() (*os.File, error) { return os.Open(agent) }

// New makes the group of a further container.
func New(id string) (*Group, error) { return newGroup(first + "-" + id) }

func newGroup(name string) (*Group, error) {
	g := &Group{path: filepath.Join(root, name)}
	if err := makeDir(g.path); err != nil {
		return nil, err
	}
	fd, err := unix.Open(g.path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open control group %s: %w", g.path, err)
	}
	g.dir = os.NewFile(uintptr(fd), g.path)
	if err := g.AllowDevices(nil); err != nil { // most containers are content with that
		return nil, errors.Join(err, g.remove())
	}
	return g, nil
}

func makeDir(path string) error {
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make control group: %w", err)
	}
	return nil
}

// Path is the group's directory.
func (g *Group) Path() string { return g.path }

// FD is a descriptor of its directory.
func (g *Group) FD() int { return int(g.dir.Fd()) }

// poll is how often Remove looks whether the group is empty: the kernel lets go
// of processes some time after they have been collected.
const poll = 5 * time.Millisecond

// Remove kills what is in the group and deletes it.
func (g *Group) Remove(ctx context.Context) error {
	if err := g.Signal(unix.SIGKILL); err != nil {
		return err
	}
	for {
		err := g.remove()
		if err == nil || !errors.Is(err, unix.EBUSY) {
			return err
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
	}
}

// remove deletes the group and those that the container has made below it.
func (g *Group) remove() error {
	var dirs []string
	filepath.WalkDir(g.path, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	for _, dir := range slices.Backward(dirs) {
		if err := unix.Rmdir(dir); err != nil && err != unix.ENOENT {
			return fmt.Errorf("delete control group %s: %w", dir, err)
		}
	}
	return g.dir.Close()
}

// Pause stops all processes of the group, or lets them go on.
func (g *Group) Pause(paused bool) error {
	value := "0"
	if paused {
		value = "1"
	}
	return write(g.path, "cgroup.freeze", value)
}

// Limit sets the container's limits.
func (g *Group) Limit(r *api.Resources) error {
	var errs []error
	number := func(file string, n int64) {
		if n > 0 {
			errs = append(errs, write(g.path, file, strconv.FormatInt(n, 10)))
		}
	}
	text := func(file, value string) {
		if value != "" {
			errs = append(errs, write(g.path, file, value))
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
		errs = append(errs, g.limitIO(l))
	}
	return errors.Join(errs...)
}

// limitIO sets what has a limit; the rest stays as it is.
func (g *Group) limitIO(l *api.IOLimit) error {
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
	return write(g.path, "io.max", line)
}

// OOMKills returns how many processes of the container the kernel has killed
// for want of memory.
func (g *Group) OOMKills() int {
	data, err := os.ReadFile(g.path + "/memory.events")
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
func (g *Group) Pids() ([]int, error) {
	var pids []int
	err := filepath.WalkDir(g.path, func(path string, d fs.DirEntry, err error) error {
		if err != nil && path == g.path {
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
func (g *Group) Signal(sig unix.Signal) error {
	if sig == unix.SIGKILL {
		return write(g.path, "cgroup.kill", "1")
	}
	pids, err := g.Pids()
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
