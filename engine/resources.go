package engine

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/guest/api"
)

// IOLimit bounds the use of a device of the container's machine. 0: no limit.
type IOLimit struct {
	Device                          string
	ReadBytes, WriteBytes           uint64 // per second
	ReadOperations, WriteOperations uint64
}

// cpuPeriod is the period of cpu.max in microseconds.
const cpuPeriod = 100_000

// machineCPUs is how many the container's machine has.
func (s *Spec) machineCPUs() int { return int(math.Ceil(s.CPUs)) }

// resources are the limits of all processes together.
func (s *Spec) resources() *api.Resources {
	r := &api.Resources{MemoryBytes: s.Memory, MemoryLowBytes: s.MemoryReservation, SwapBytes: s.swapBytes(), Pids: s.PidsLimit,
		CpuWeight: cpuWeight(s.CPUShares), Cpus: s.CpusetCPUs, MemoryNodes: s.CpusetMems}
	if s.CPUs != math.Trunc(s.CPUs) || s.Pod != "" { // a machine of its own has no more
		r.CpuQuotaUs = int64(s.CPUs * cpuPeriod)
	}
	for _, l := range s.IO {
		r.Io = append(r.Io, &api.IOLimit{Device: l.Device, ReadBytes: l.ReadBytes, WriteBytes: l.WriteBytes,
			ReadOperations: l.ReadOperations, WriteOperations: l.WriteOperations})
	}
	return r
}

// Bounds of CPU shares, as the first version of control groups had them.
const minShares, maxShares = 2, 1 << 18

// cpuWeight converts them for the second version, as runc does: the default of
// the one becomes that of the other.
func cpuWeight(shares int64) uint64 {
	if shares == 0 {
		return 0
	}
	l := math.Log2(float64(min(max(shares, minShares), maxShares)))
	return uint64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}

// checkResources looks at a Spec that is complete: the machine has as many CPUs
// as it asks for.
func (s *Spec) checkResources() error {
	bad := func(format string, a ...any) error {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, a...))
	}
	if s.MemoryReservation < 0 || s.MemoryReservation > s.Memory {
		return bad("a memory reservation of %d bytes: the limit is %d, ask for less", s.MemoryReservation, s.Memory)
	}
	if s.MemorySwap != 0 && s.MemorySwap < s.Memory {
		return bad("%d bytes of memory and swap together: the memory alone is %d, ask for at least that", s.MemorySwap, s.Memory)
	}
	if s.CPUShares < 0 || s.PidsLimit < 0 || s.ShmSize < 0 {
		return bad("CPU shares, the limit of processes and the size of /dev/shm cannot be negative")
	}
	if s.OOMScoreAdj < -1000 || s.OOMScoreAdj > 1000 {
		return bad("invalid value %d, range for oom score adj is [-1000, 1000]", s.OOMScoreAdj)
	}
	if last, err := lastOf(s.CpusetCPUs); err != nil || last >= s.machineCPUs() {
		return bad("cpuset %q: use a list such as 0-1,3; the container's machine has the CPUs 0 to %d, more with --cpus", s.CpusetCPUs, s.machineCPUs()-1)
	}
	if last, err := lastOf(s.CpusetMems); err != nil || last > 0 {
		return bad("memory nodes %q: the container's machine has the node 0 only", s.CpusetMems)
	}
	return nil
}

// lastOf is the largest number in a list such as "0-2,4", -1 for an empty one.
func lastOf(list string) (int, error) {
	last := -1
	if list == "" {
		return last, nil
	}
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 16)
		if err != nil {
			return 0, err
		}
		end, err := strconv.ParseUint(to, 10, 16)
		if err != nil || end < first {
			return 0, fmt.Errorf("%q is no range", part)
		}
		last = max(last, int(end))
	}
	return last, nil
}
