package api

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"

	"github.com/skerry-app/skerry/engine"
)

// toProcess converts what a container's processes may do and how they run.
func toProcess(spec *engine.Spec, c *container.Config, h *container.HostConfig) error {
	spec.Domainname = c.Domainname
	spec.DNS, spec.DNSOptions = h.DNS, h.DNSOptions
	for _, domain := range h.DNSSearch {
		if domain != "." { // Docker's word for none
			spec.DNSSearch = append(spec.DNSSearch, domain)
		}
	}
	spec.Groups, spec.CapAdd, spec.CapDrop = h.GroupAdd, h.CapAdd, h.CapDrop
	spec.MaskedPaths, spec.ReadOnlyPaths = h.MaskedPaths, h.ReadonlyPaths
	spec.Umask, spec.OOMScoreAdj, spec.Sysctls = h.Umask, h.OomScoreAdj, h.Sysctls
	spec.Init = h.Init != nil && *h.Init
	spec.Tmpfs, spec.ShmSize = h.Tmpfs, h.ShmSize
	for _, u := range h.Ulimits {
		if u != nil {
			spec.Ulimits = append(spec.Ulimits, engine.Ulimit{Name: u.Name, Soft: u.Soft, Hard: u.Hard})
		}
	}
	for _, d := range h.Devices {
		if volumeDevice(d) {
			continue // a mount
		}
		spec.Devices = append(spec.Devices, engine.Device{Source: d.PathOnHost, Target: d.PathInContainer, Access: d.CgroupPermissions})
	}
	spec.DeviceRules = h.DeviceCgroupRules
	return toSecurity(spec, h.SecurityOpt)
}

// toSecurity reads security options, "name=value" or, as older clients have it,
// "name:value".
func toSecurity(spec *engine.Spec, options []string) error {
	for _, option := range options {
		name, value, ok := strings.Cut(option, "=")
		if !ok {
			name, value, _ = strings.Cut(option, ":")
		}
		switch {
		case name == "no-new-privileges" && slices.Contains([]string{"", "true", "false"}, value):
			spec.NoNewPrivileges = value != "false"
		case name == "no-new-privileges":
			return invalid("invalid --security-opt %q: use true or false", option)
		case name == "seccomp" && value == "builtin":
			spec.Seccomp = ""
		case name == "seccomp" && value != "":
			spec.Seccomp = value
		case (name == "apparmor" || name == "label") && (value == "unconfined" || value == "disable"): // as it is
		case name == "apparmor" || name == "label" || name == "writable-cgroups" || name == "systempaths":
			return notImplemented("the security option " + name + " is")
		default:
			return invalid("invalid --security-opt %q", option)
		}
	}
	return nil
}

// toResources converts what all processes together may use. Without a limit of
// both, -1, a machine has no swap, as a host may have none.
func toResources(spec *engine.Spec, r *container.Resources) error {
	switch {
	case r.MemorySwap > 0 && r.Memory == 0:
		return invalid("memory and swap together are limited, so give a limit of the memory as well")
	case r.MemorySwap > 0 && r.MemorySwap != r.Memory:
		spec.MemorySwap = r.MemorySwap
	}
	spec.MemoryReservation, spec.CPUShares = r.MemoryReservation, r.CPUShares
	spec.CpusetCPUs, spec.CpusetMems = r.CpusetCpus, r.CpusetMems
	if r.PidsLimit != nil && *r.PidsLimit > 0 {
		spec.PidsLimit = *r.PidsLimit
	}
	spec.IO = toIO(r)
	return nil
}

// throttles are Docker's four lists of limits, with the field of ours for each.
func throttles(r *container.Resources) []throttle {
	return []throttle{
		{&r.BlkioDeviceReadBps, func(l *engine.IOLimit) *uint64 { return &l.ReadBytes }},
		{&r.BlkioDeviceWriteBps, func(l *engine.IOLimit) *uint64 { return &l.WriteBytes }},
		{&r.BlkioDeviceReadIOps, func(l *engine.IOLimit) *uint64 { return &l.ReadOperations }},
		{&r.BlkioDeviceWriteIOps, func(l *engine.IOLimit) *uint64 { return &l.WriteOperations }},
	}
}

type throttle struct {
	list  *[]*blkiodev.ThrottleDevice
	field func(*engine.IOLimit) *uint64
}

// toIO puts the limits of each device together.
func toIO(r *container.Resources) []engine.IOLimit {
	limits := map[string]*engine.IOLimit{}
	for _, t := range throttles(r) {
		for _, d := range *t.list {
			if d == nil {
				continue
			}
			if limits[d.Path] == nil {
				limits[d.Path] = &engine.IOLimit{Device: d.Path}
			}
			*t.field(limits[d.Path]) = d.Rate
		}
	}
	var list []engine.IOLimit
	for _, l := range limits {
		list = append(list, *l)
	}
	slices.SortFunc(list, func(a, b engine.IOLimit) int { return cmp.Compare(a.Device, b.Device) })
	return list
}

// showProcess is the way back, for those who inspect.
func showProcess(h *container.HostConfig, s engine.Spec) {
	h.DNS, h.DNSSearch, h.DNSOptions = s.DNS, nonNil(s.DNSSearch), nonNil(s.DNSOptions)
	h.GroupAdd, h.CapAdd, h.CapDrop = s.Groups, s.CapAdd, s.CapDrop
	h.MaskedPaths, h.ReadonlyPaths = s.MaskedPaths, s.ReadOnlyPaths
	h.Umask, h.OomScoreAdj, h.Sysctls = s.Umask, s.OOMScoreAdj, maps.Clone(s.Sysctls)
	if s.Init {
		h.Init = &s.Init
	}
	h.Tmpfs, h.ShmSize = s.Tmpfs, s.ShmSize
	if h.ShmSize == 0 {
		h.ShmSize = defaultShmSize
	}
	if s.NoNewPrivileges {
		h.SecurityOpt = append(h.SecurityOpt, "no-new-privileges")
	}
	if s.Seccomp != "" {
		h.SecurityOpt = append(h.SecurityOpt, "seccomp="+s.Seccomp)
	}
	r := &h.Resources
	for _, u := range s.Ulimits {
		r.Ulimits = append(r.Ulimits, &container.Ulimit{Name: u.Name, Soft: u.Soft, Hard: u.Hard})
	}
	for _, d := range s.Devices {
		r.Devices = append(r.Devices, container.DeviceMapping{PathOnHost: d.Source, PathInContainer: d.Target, CgroupPermissions: d.Access})
	}
	r.Devices = append(r.Devices, fromRaw(s.Mounts)...)
	r.DeviceCgroupRules = s.DeviceRules
	r.MemoryReservation, r.CPUShares, r.CpusetCpus, r.CpusetMems = s.MemoryReservation, s.CPUShares, s.CpusetCPUs, s.CpusetMems
	if r.MemorySwap = s.MemorySwap; r.MemorySwap == 0 {
		r.MemorySwap = s.Memory
	}
	if s.PidsLimit > 0 {
		r.PidsLimit = &s.PidsLimit
	}
	for _, l := range s.IO {
		for _, t := range throttles(r) {
			if rate := *t.field(&l); rate > 0 {
				*t.list = append(*t.list, &blkiodev.ThrottleDevice{Path: l.Device, Rate: rate})
			}
		}
	}
}

// defaultShmSize is what a container's /dev/shm holds, in bytes.
const defaultShmSize = 64 << 20
