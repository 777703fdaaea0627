package api

import (
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/skerry-app/skerry/engine"
)

// statsResponse is docker's, with what its API has no place for.
type statsResponse struct {
	container.StatsResponse
	Pressure pressures `json:"skerry_pressure"`
}

// pressures says how long processes waited for want of something.
type pressures struct {
	CPU    pressure `json:"cpu"`
	Memory pressure `json:"memory"`
	IO     pressure `json:"io"`
}

type pressure struct {
	Some stall `json:"some"`
	Full stall `json:"full"`
}

type stall struct {
	Average10  float64 `json:"avg10"` // percent
	Average60  float64 `json:"avg60"`
	Average300 float64 `json:"avg300"`
	Total      int64   `json:"total"` // nanoseconds
}

func toStats(c engine.Snapshot, before, now engine.Stats) statsResponse {
	s := statsResponse{StatsResponse: container.StatsResponse{
		ID: c.ID, Name: "/" + c.Name, OSType: "linux",
		Read: now.Time, PreRead: before.Time, CPUStats: toCPU(now.CPU), PreCPUStats: toCPU(before.CPU),
		MemoryStats: container.MemoryStats{
			Usage: now.Memory.Usage, MaxUsage: now.Memory.Peak, Limit: now.Memory.Limit,
			Failcnt: now.Memory.LimitHits, Stats: now.Memory.Details,
		},
		PidsStats: container.PidsStats{Current: now.Processes, Limit: now.MaxPids},
		Networks:  map[string]container.NetworkStats{},
	}}
	for _, d := range now.Disks {
		entry := func(op string, value uint64) container.BlkioStatEntry {
			return container.BlkioStatEntry{Major: uint64(d.Major), Minor: uint64(d.Minor), Op: op, Value: value}
		}
		b := &s.BlkioStats
		b.IoServiceBytesRecursive = append(b.IoServiceBytesRecursive, entry("read", d.ReadBytes), entry("write", d.WrittenBytes))
		b.IoServicedRecursive = append(b.IoServicedRecursive, entry("read", d.Reads), entry("write", d.Writes))
	}
	for _, i := range now.Interfaces {
		s.Networks[i.Name] = container.NetworkStats{
			RxBytes: i.Received.Bytes, RxPackets: i.Received.Packets, RxErrors: i.Received.Errors, RxDropped: i.Received.Dropped,
			TxBytes: i.Sent.Bytes, TxPackets: i.Sent.Packets, TxErrors: i.Sent.Errors, TxDropped: i.Sent.Dropped,
		}
	}
	s.Pressure = pressures{toPressure(now.CPUPressure), toPressure(now.MemoryPressure), toPressure(now.IOPressure)}
	return s
}

func toCPU(c engine.CPUStats) container.CPUStats {
	return container.CPUStats{
		CPUUsage: container.CPUUsage{
			TotalUsage: nanos(c.Usage), UsageInKernelmode: nanos(c.System), UsageInUsermode: nanos(c.User),
		},
		SystemUsage: nanos(c.Machine), OnlineCPUs: uint32(c.Online),
		ThrottlingData: container.ThrottlingData{
			Periods: c.Periods, ThrottledPeriods: c.ThrottledPeriods, ThrottledTime: nanos(c.Throttled),
		},
	}
}

func nanos(d time.Duration) uint64 { return uint64(d.Nanoseconds()) }

func toPressure(p engine.Pressure) pressure {
	convert := func(s engine.Stall) stall {
		return stall{s.Average10, s.Average60, s.Average300, s.Total.Nanoseconds()}
	}
	return pressure{convert(p.Some), convert(p.Full)}
}
