//go:build linux

package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
)

// Statistics returns what the container's group has counted.
func (g *Group) Statistics() (*api.StatisticsResponse, error) {
	r := reading{dir: g.path}
	s := &api.StatisticsResponse{
		Cpu: r.cpu(), Memory: r.memory(), Disks: r.disks(),
		Pids:           &api.PidsStatistics{Current: r.number("pids.current"), Limit: r.number("pids.max")},
		CpuPressure:    r.pressure("cpu.pressure"),
		MemoryPressure: r.pressure("memory.pressure"),
		IoPressure:     r.pressure("io.pressure"),
	}
	if err := errors.Join(r.errs...); err != nil {
		return nil, fmt.Errorf("statistics of the container: %w", err)
	}
	return s, nil
}

// reading reads files of the container's group and keeps what goes wrong.
type reading struct {
	dir  string
	errs []error
}

// text returns a file of the group. One that this kernel does not have is
// empty.
func (r *reading) text(file string) string {
	data, err := os.ReadFile(filepath.Join(r.dir, file))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.EOPNOTSUPP) {
		r.errs = append(r.errs, err)
	}
	return string(data)
}

// number returns a file with a number in it; "max" and an absent file are 0.
func (r *reading) number(file string) uint64 {
	n, _ := strconv.ParseUint(strings.TrimSpace(r.text(file)), 10, 64)
	return n
}

// keys returns a file of lines of a key and a number.
func (r *reading) keys(file string) map[string]uint64 {
	all := map[string]uint64{}
	for line := range strings.Lines(r.text(file)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseUint(value, 10, 64); err == nil {
			all[key] = n
		}
	}
	return all
}

func (r *reading) cpu() *api.CPUStatistics {
	stat := r.keys("cpu.stat")
	return &api.CPUStatistics{
		Online: uint32(runtime.NumCPU()), MachineUs: r.machineTime(),
		UsageUs: stat["usage_usec"], UserUs: stat["user_usec"], SystemUs: stat["system_usec"],
		Periods: stat["nr_periods"], ThrottledPeriods: stat["nr_throttled"], ThrottledUs: stat["throttled_usec"],
	}
}

// hundredth is the unit of /proc/stat (USER_HZ) in microseconds.
const hundredth = 10_000

// machineTime adds up what all CPUs have done (proc_stat(5)). What guests of
// this machine have run is in the time of users already.
func (r *reading) machineTime() (us uint64) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		r.errs = append(r.errs, err)
		return 0
	}
	line, _, _ := strings.Cut(string(data), "\n")
	fields := strings.Fields(line)
	const first, guest = 1, 9
	for _, field := range fields[min(first, len(fields)):min(guest, len(fields))] {
		n, _ := strconv.ParseUint(field, 10, 64)
		us += n * hundredth
	}
	return us
}

func (r *reading) memory() *api.MemoryStatistics {
	events := r.keys("memory.events")
	m := &api.MemoryStatistics{
		UsageBytes: r.number("memory.current"), PeakBytes: r.number("memory.peak"), LimitBytes: r.number("memory.max"),
		SwapBytes: r.number("memory.swap.current"), LimitHits: events["max"], OomKills: events["oom_kill"],
		Details: r.keys("memory.stat"),
	}
	if m.LimitBytes == 0 {
		var info unix.Sysinfo_t
		if err := unix.Sysinfo(&info); err != nil {
			r.errs = append(r.errs, err)
		}
		m.LimitBytes = uint64(info.Totalram) * uint64(info.Unit)
	}
	return m
}

// disks reads io.stat: "254:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0".
func (r *reading) disks() (all []*api.DiskStatistics) {
	for line := range strings.Lines(r.text("io.stat")) {
		fields := strings.Fields(line)
		d := &api.DiskStatistics{}
		if len(fields) < 2 {
			continue
		}
		if _, err := fmt.Sscanf(fields[0], "%d:%d", &d.Major, &d.Minor); err != nil {
			continue
		}
		for _, field := range fields[1:] {
			key, value, _ := strings.Cut(field, "=")
			n, _ := strconv.ParseUint(value, 10, 64)
			switch key {
			case "rbytes":
				d.ReadBytes = n
			case "wbytes":
				d.WrittenBytes = n
			case "rios":
				d.Reads = n
			case "wios":
				d.Writes = n
			}
		}
		all = append(all, d)
	}
	return all
}

// pressure reads "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" and the same
// for "full".
func (r *reading) pressure(file string) *api.Pressure {
	p := &api.Pressure{}
	for line := range strings.Lines(r.text(file)) {
		var kind string
		s := &api.Stall{}
		if _, err := fmt.Sscanf(line, "%s avg10=%f avg60=%f avg300=%f total=%d", &kind, &s.Average_10S, &s.Average_60S, &s.Average_300S, &s.TotalUs); err != nil {
			r.errs = append(r.errs, fmt.Errorf("%s: %w", file, err))
			continue
		}
		switch kind {
		case "some":
			p.Some = s
		case "full":
			p.Full = s
		}
	}
	return p
}
