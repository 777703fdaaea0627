package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/skerry-app/skerry/guest/api"
)

// Stats is what a container uses, counted since its start where nothing else
// is said.
type Stats struct {
	Time       time.Time
	CPU        CPUStats
	Memory     MemoryStats
	Processes  uint64 // at the moment
	MaxPids    uint64 // limit of processes, 0 for none
	Disks      []DiskStats
	Interfaces []InterfaceStats
	// How long processes waited for want of CPU, memory, input and output.
	CPUPressure, MemoryPressure, IOPressure Pressure
}

// CPUStats is use of processors.
type CPUStats struct {
	Online                    int
	Usage, User, System       time.Duration
	Periods, ThrottledPeriods uint64
	Throttled                 time.Duration
	Machine                   time.Duration // all processors' time, idle or not
}

// MemoryStats is use of memory, in bytes.
type MemoryStats struct {
	Usage, Peak, Limit, Swap uint64
	LimitHits, OOMKills      uint64            // numbers of times
	Details                  map[string]uint64 // as in memory.stat of the control group
}

// DiskStats is use of a disk.
type DiskStats struct {
	Major, Minor            uint32
	ReadBytes, WrittenBytes uint64
	Reads, Writes           uint64
}

// InterfaceStats is use of a network interface.
type InterfaceStats struct {
	Name           string
	Received, Sent Traffic
}

// Traffic is what has gone one way.
type Traffic struct{ Bytes, Packets, Errors, Dropped uint64 }

// Pressure is the kernel's pressure stall information.
type Pressure struct {
	Some, Full Stall // at least one process, all processes
}

// Stall is a share of time, in percent of the last 10, 60 and 300 seconds, and
// in all.
type Stall struct {
	Average10, Average60, Average300 float64
	Total                            time.Duration
}

// Stats tells what the container uses. One that does not run gives
// errdefs.ErrConflict.
func (c *Container) Stats(ctx context.Context) (Stats, error) {
	r, err := c.needRun()
	if err != nil {
		return Stats{}, err
	}
	s, err := r.guest.Statistics(ctx)
	if err != nil {
		return Stats{}, fmt.Errorf("statistics of container %s: %w", c.name(), err)
	}
	return toStats(s), nil
}

func toStats(r *api.StatisticsResponse) Stats {
	s := Stats{
		Time: r.Time.AsTime(),
		CPU: CPUStats{
			Online: int(r.Cpu.Online), Usage: micros(r.Cpu.UsageUs), User: micros(r.Cpu.UserUs), System: micros(r.Cpu.SystemUs),
			Periods: r.Cpu.Periods, ThrottledPeriods: r.Cpu.ThrottledPeriods, Throttled: micros(r.Cpu.ThrottledUs),
			Machine: micros(r.Cpu.MachineUs),
		},
		Memory: MemoryStats{
			Usage: r.Memory.UsageBytes, Peak: r.Memory.PeakBytes, Limit: r.Memory.LimitBytes, Swap: r.Memory.SwapBytes,
			LimitHits: r.Memory.LimitHits, OOMKills: r.Memory.OomKills, Details: r.Memory.Details,
		},
		Processes: r.Pids.Current, MaxPids: r.Pids.Limit,
		CPUPressure: toPressure(r.CpuPressure), MemoryPressure: toPressure(r.MemoryPressure), IOPressure: toPressure(r.IoPressure),
	}
	for _, d := range r.Disks {
		s.Disks = append(s.Disks, DiskStats{d.GetMajor(), d.GetMinor(), d.GetReadBytes(), d.GetWrittenBytes(), d.GetReads(), d.GetWrites()})
	}
	for _, i := range r.Interfaces {
		s.Interfaces = append(s.Interfaces, InterfaceStats{
			Name:     i.GetName(),
			Received: Traffic{i.GetReceivedBytes(), i.GetReceivedPackets(), i.GetReceivedErrors(), i.GetReceivedDropped()},
			Sent:     Traffic{i.GetSentBytes(), i.GetSentPackets(), i.GetSentErrors(), i.GetSentDropped()},
		})
	}
	return s
}

func micros(n uint64) time.Duration { return time.Duration(n) * time.Microsecond }

func toPressure(p *api.Pressure) Pressure {
	stall := func(s *api.Stall) Stall {
		return Stall{s.GetAverage_10S(), s.GetAverage_60S(), s.GetAverage_300S(), micros(s.GetTotalUs())}
	}
	return Pressure{stall(p.GetSome()), stall(p.GetFull())}
}
