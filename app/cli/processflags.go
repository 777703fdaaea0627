package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"
	"github.com/spf13/pflag"
)

// processFlags say what a container's processes may do and use.
type processFlags struct {
	capAdd, capDrop, securityOpt, groupAdd []string
	ulimits, sysctls, tmpfs                []string
	devices, deviceRules                   []string
	dns, dnsSearch, dnsOptions             []string
	domainname, shmSize                    string
	init                                   bool
	oomScoreAdj                            int
	pidsLimit, cpuShares                   int64
	cpuPeriod, cpuQuota                    int64
	cpusetCpus, cpusetMems                 string
	memorySwap, memoryReservation          string
	readBps, writeBps, readIOps, writeIOps []string
}

func (f *processFlags) register(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.capAdd, "cap-add", nil, "add a capability, such as NET_ADMIN or ALL")
	fs.StringArrayVar(&f.capDrop, "cap-drop", nil, "drop a capability, such as NET_RAW or ALL")
	fs.StringArrayVar(&f.securityOpt, "security-opt", nil, "no-new-privileges, seccomp=unconfined or seccomp=file, systempaths=unconfined")
	fs.StringArrayVar(&f.groupAdd, "group-add", nil, "add the user to a group, by name or number")
	fs.StringArrayVar(&f.ulimits, "ulimit", nil, "limit of a process: name=soft[:hard], such as nofile=1024:2048")
	fs.StringArrayVar(&f.sysctls, "sysctl", nil, "set a kernel parameter of the container's machine: name=value")
	fs.StringArrayVar(&f.tmpfs, "tmpfs", nil, "mount a file system in memory: path[:options]")
	fs.StringArrayVar(&f.devices, "device", nil, "give the container a device of its machine, or the disk of a volume: path[:path in the container][:rwm] or volume:path in the container[:rwm]")
	fs.StringArrayVar(&f.deviceRules, "device-cgroup-rule", nil, `allow the use of devices, such as "c 10:200 rwm"`)
	fs.StringArrayVar(&f.dns, "dns", nil, "address of a name server, instead of the network's")
	fs.StringArrayVar(&f.dnsSearch, "dns-search", nil, "domain to look up names in")
	fs.StringArrayVar(&f.dnsOptions, "dns-option", nil, "option of resolv.conf")
	fs.StringArrayVar(&f.dnsOptions, "dns-opt", nil, "")
	_ = fs.MarkHidden("dns-opt")
	fs.StringVar(&f.domainname, "domainname", "", "domain name of the container")
	fs.StringVar(&f.shmSize, "shm-size", "", "size of /dev/shm, such as 128m")
	fs.BoolVar(&f.init, "init", false, "run the command below an init that forwards signals and reaps processes")
	fs.IntVar(&f.oomScoreAdj, "oom-score-adj", 0, "how gladly the kernel kills its processes for memory, -1000 to 1000")
	fs.Int64Var(&f.pidsLimit, "pids-limit", 0, "number of processes at most; -1 for no limit")
	fs.Int64VarP(&f.cpuShares, "cpu-shares", "c", 0, "weight of its CPU time")
	fs.Int64Var(&f.cpuPeriod, "cpu-period", 0, "period of the CPU quota in microseconds")
	fs.Int64Var(&f.cpuQuota, "cpu-quota", 0, "CPU time in each period in microseconds")
	fs.StringVar(&f.cpusetCpus, "cpuset-cpus", "", "CPUs of its machine to use, such as 0-1")
	fs.StringVar(&f.cpusetMems, "cpuset-mems", "", "memory nodes of its machine to use, such as 0")
	fs.StringVar(&f.memorySwap, "memory-swap", "", "memory and swap together, such as 1g; -1 for no limit of its own")
	fs.StringVar(&f.memoryReservation, "memory-reservation", "", "memory that is kept for the container, such as 64m")
	fs.StringArrayVar(&f.readBps, "device-read-bps", nil, "limit reads from a device of its machine: path:bytes a second, such as /dev/vdc:1mb")
	fs.StringArrayVar(&f.writeBps, "device-write-bps", nil, "limit writes likewise")
	fs.StringArrayVar(&f.readIOps, "device-read-iops", nil, "limit the number of reads a second: path:number")
	fs.StringArrayVar(&f.writeIOps, "device-write-iops", nil, "limit the number of writes likewise")
}

// apply puts the flags into a request.
func (f *processFlags) apply(c *container.Config, h *container.HostConfig) (err error) {
	c.Domainname = f.domainname
	h.CapAdd, h.CapDrop, h.GroupAdd = f.capAdd, f.capDrop, f.groupAdd
	h.DNSSearch, h.DNSOptions, h.DeviceCgroupRules = f.dnsSearch, f.dnsOptions, f.deviceRules
	h.OomScoreAdj, h.CPUShares, h.CPUPeriod, h.CPUQuota = f.oomScoreAdj, f.cpuShares, f.cpuPeriod, f.cpuQuota
	h.CpusetCpus, h.CpusetMems = f.cpusetCpus, f.cpusetMems
	if f.init {
		h.Init = &f.init
	}
	if f.pidsLimit != 0 {
		h.PidsLimit = &f.pidsLimit
	}
	for _, text := range f.dns {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("--dns must be an address, not %q", text)
		}
		h.DNS = append(h.DNS, a)
	}
	for _, text := range f.ulimits {
		u, err := parseUlimit(text)
		if err != nil {
			return err
		}
		h.Ulimits = append(h.Ulimits, u)
	}
	for _, text := range f.sysctls {
		if name, _, ok := strings.Cut(text, "="); !ok || name == "" {
			return fmt.Errorf("--sysctl must be name=value, not %q", text)
		}
	}
	h.Sysctls = keyValues(f.sysctls)
	for _, text := range f.tmpfs {
		path, options, _ := strings.Cut(text, ":")
		if h.Tmpfs == nil {
			h.Tmpfs = map[string]string{}
		}
		h.Tmpfs[path] = options
	}
	for _, text := range f.devices {
		d, err := parseDevice(text)
		if err != nil {
			return err
		}
		h.Devices = append(h.Devices, d)
	}
	for _, size := range []struct {
		flag, text string
		to         *int64
	}{{"shm-size", f.shmSize, &h.ShmSize}, {"memory-reservation", f.memoryReservation, &h.MemoryReservation}, {"memory-swap", f.memorySwap, &h.MemorySwap}} {
		if *size.to, err = parseSize(size.flag, size.text); err != nil {
			return err
		}
	}
	if h.BlkioDeviceReadBps, err = parseThrottles("device-read-bps", f.readBps, units.RAMInBytes); err != nil {
		return err
	}
	if h.BlkioDeviceWriteBps, err = parseThrottles("device-write-bps", f.writeBps, units.RAMInBytes); err != nil {
		return err
	}
	if h.BlkioDeviceReadIOps, err = parseThrottles("device-read-iops", f.readIOps, parseCount); err != nil {
		return err
	}
	if h.BlkioDeviceWriteIOps, err = parseThrottles("device-write-iops", f.writeIOps, parseCount); err != nil {
		return err
	}
	return f.security(h)
}

// security reads what docker's command reads too: a profile's file, and the
// paths that are usually masked.
func (f *processFlags) security(h *container.HostConfig) error {
	for _, option := range f.securityOpt {
		name, value, ok := strings.Cut(option, "=")
		if !ok {
			name, value, _ = strings.Cut(option, ":")
		}
		switch {
		case name == "systempaths" && value == "unconfined":
			h.MaskedPaths, h.ReadonlyPaths = []string{}, []string{}
			continue
		case name == "seccomp" && value != "unconfined" && value != "builtin":
			text, err := os.ReadFile(value)
			if err != nil {
				return fmt.Errorf("read the seccomp profile: %w", err)
			}
			var compact bytes.Buffer
			if err := json.Compact(&compact, text); err != nil {
				return fmt.Errorf("read the seccomp profile %s: %w", value, err)
			}
			option = "seccomp=" + compact.String()
		}
		h.SecurityOpt = append(h.SecurityOpt, option)
	}
	return nil
}

// parseUlimit reads name=soft[:hard]; -1 and "unlimited" stand for none.
func parseUlimit(text string) (*container.Ulimit, error) {
	fail := fmt.Errorf("--ulimit must be name=soft or name=soft:hard, such as nofile=1024:2048, not %q", text)
	name, values, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return nil, fail
	}
	soft, hard, both := strings.Cut(values, ":")
	if !both {
		hard = soft
	}
	u := &container.Ulimit{Name: name}
	for to, text := range map[*int64]string{&u.Soft: soft, &u.Hard: hard} {
		if text == "unlimited" {
			text = "-1"
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < -1 {
			return nil, fail
		}
		*to = n
	}
	return u, nil
}

// parseDevice reads path[:path in the container][:access], where a volume's name
// may stand for the path.
func parseDevice(text string) (container.DeviceMapping, error) {
	d := container.DeviceMapping{CgroupPermissions: "rwm"}
	parts := strings.Split(text, ":")
	if n := len(parts); n > 1 && parts[n-1] != "" && strings.Trim(parts[n-1], "rwm") == "" {
		d.CgroupPermissions, parts = parts[n-1], parts[:n-1]
	}
	d.PathOnHost, d.PathInContainer = parts[0], parts[len(parts)-1]
	volume := d.PathOnHost != "" && !strings.Contains(d.PathOnHost, "/")
	if len(parts) > 2 || !strings.HasPrefix(d.PathOnHost, "/") && !volume || !strings.HasPrefix(d.PathInContainer, "/") {
		return d, fmt.Errorf("--device must be path[:path in the container][:rwm] or volume:path in the container[:rwm], not %q", text)
	}
	return d, nil
}

// parseSize reads a size in bytes or with a unit; -1 is itself, empty 0.
func parseSize(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	if text == "-1" {
		return -1, nil
	}
	size, err := units.RAMInBytes(text)
	if err != nil || size <= 0 {
		return 0, fmt.Errorf("--%s must be a size such as 64m, not %q", flag, text)
	}
	return size, nil
}

func parseCount(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) }

// parseThrottles reads path:rate.
func parseThrottles(flag string, list []string, rate func(string) (int64, error)) ([]*blkiodev.ThrottleDevice, error) {
	var devices []*blkiodev.ThrottleDevice
	for _, text := range list {
		i := strings.LastIndexByte(text, ':')
		n, err := rate(text[i+1:])
		if i < 1 || err != nil || n <= 0 || !strings.HasPrefix(text, "/dev/") {
			return nil, fmt.Errorf("--%s must be /dev/path:rate, not %q", flag, text)
		}
		devices = append(devices, &blkiodev.ThrottleDevice{Path: text[:i], Rate: uint64(n)})
	}
	return devices, nil
}
