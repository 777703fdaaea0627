//go:build linux

package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/cgroup"
	"github.com/skerry-app/skerry/guest/device"
	"github.com/skerry-app/skerry/guest/disk"
	"github.com/skerry-app/skerry/guest/launch"
	"github.com/skerry-app/skerry/guest/network"
	"github.com/skerry-app/skerry/guest/process"
	"github.com/skerry-app/skerry/guest/translator"
)

// Where the container's parts are in the machine.
const (
	imageDir   = "/run/container/image"
	scratchDir = "/run/container/scratch"
	filesDir   = "/run/container/files"
	sharesDir  = "/run/container/shares"
	disksDir   = "/run/container/disks"
	rootDir    = "/run/container/rootfs" // where it is put together
)

// Configure implements api.AgentServer.
func (s *Server) Configure(ctx context.Context, r *api.ConfigureRequest) (*api.ConfigureResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.configured {
		return nil, status.Error(codes.FailedPrecondition, "the machine has been configured already")
	}
	if r.Root == nil || r.Process == nil || r.Names == nil {
		return nil, status.Error(codes.InvalidArgument, "root, names and process are needed")
	}
	s.configured, s.root = true, r.Root
	s.disks = furtherDisks(r.Mounts)
	if err := s.configure(ctx, r); err != nil {
		return nil, failed(err)
	}
	return &api.ConfigureResponse{}, nil
}

func (s *Server) configure(ctx context.Context, r *api.ConfigureRequest) error {
	if err := setTime(r.Time); err != nil {
		return err
	}
	if err := mountDisks(r.Root); err != nil {
		return err
	}
	if err := mountSources(s.disks, r.ShareTag); err != nil {
		return err
	}
	if err := translator.Register(r.Translators, sharesDir); err != nil {
		return err
	}
	if err := network.Configure(r.Interfaces); err != nil {
		return err
	}
	if len(r.Interfaces) > 0 && len(r.Interfaces[0].Addresses) > 0 {
		s.address, _, _ = strings.Cut(r.Interfaces[0].Addresses[0], "/")
	}
	if err := launch.SetSysctls(machineSysctls); err != nil {
		return err
	}
	if r.SwapDisk != "" {
		if err := disk.Swap(r.SwapDisk); err != nil {
			return err
		}
	}
	if err := s.table.Limit(r.Resources); err != nil {
		return err
	}
	devices, err := device.Find(r.Devices)
	if err != nil {
		return err
	}
	rules := r.DeviceRules
	for _, d := range devices {
		rules = append(rules, d.Rule())
	}
	if r.Process.Privileged {
		rules = []string{cgroup.AllDevices}
	}
	if len(rules) > 0 {
		if err := cgroup.AllowDevices(rules); err != nil {
			return err
		}
	}
	files, err := writeFiles(r.Names)
	if err != nil {
		return err
	}
	r.Process.Id = process.Init
	return s.table.Create(ctx, r.Process, &launch.Root{
		Stage: rootDir, Lower: imageDir, Upper: filepath.Join(scratchDir, "upper"), Work: filepath.Join(scratchDir, "work"),
		Cgroup: cgroup.Container, ReadOnly: r.Root.ReadOnly, Mounts: sortedMounts(r.Mounts), Shares: sharesDir, Disks: disksDir, Sysctls: r.Sysctls,
		Hostname: r.Names.Hostname, Domain: r.Names.Domainname, Files: files,
		Masked: r.MaskedPaths, Fixed: r.ReadOnlyPaths, Devices: devices, Shm: r.ShmBytes,
	})
}

// mountDisks mounts the image's and the scratch disk.
func mountDisks(r *api.Root) error {
	for _, dir := range []string{rootDir, filesDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := disk.Mount(r.ImageDisk, imageDir, unix.MS_RDONLY|unix.MS_NOATIME, ""); err != nil {
		return err
	}
	return disk.Mount(r.ScratchDisk, scratchDir, unix.MS_NOATIME, "discard")
}

// unmountDisks unmounts further disks, the scratch disk and then the image's.
func unmountDisks(ctx context.Context, r *api.Root, further []furtherDisk) error {
	var errs []error
	for _, d := range further {
		errs = append(errs, disk.Unmount(ctx, d.serial, d.dir()))
	}
	errs = append(errs, translator.Unregister(), unmountShares())
	return errors.Join(errors.Join(errs...), disk.Unmount(ctx, r.ScratchDisk, scratchDir), disk.Unmount(ctx, r.ImageDisk, imageDir))
}

// machineSysctls hold for every machine: memory is the container's to promise,
// databases map many files, and what Docker allows in a network namespace:
// low ports and pings without capabilities.
var machineSysctls = map[string]string{
	"vm.overcommit_memory":                "1",
	"vm.max_map_count":                    "262144",
	"net.ipv4.ip_unprivileged_port_start": "0",
	"net.ipv4.ping_group_range":           "0 2147483647",
}

// writeFiles writes the files about names; they are bound over the
// image's.
func writeFiles(n *api.Names) (map[string]string, error) {
	var hosts, resolv strings.Builder
	hosts.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
	for _, h := range n.Hosts {
		fmt.Fprintf(&hosts, "%s\t%s\n", h.Address, strings.Join(h.Names, " "))
	}
	for _, server := range n.Nameservers {
		fmt.Fprintf(&resolv, "nameserver %s\n", server)
	}
	if len(n.Search) > 0 {
		fmt.Fprintf(&resolv, "search %s\n", strings.Join(n.Search, " "))
	}
	if len(n.Options) > 0 {
		fmt.Fprintf(&resolv, "options %s\n", strings.Join(n.Options, " "))
	}
	files := map[string]string{}
	for name, text := range map[string]string{"hosts": hosts.String(), "resolv.conf": resolv.String(), "hostname": n.Hostname + "\n"} {
		path := filepath.Join(filesDir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return nil, err
		}
		files["/etc/"+name] = path
	}
	return files, nil
}

// sortedMounts puts mounts of outer directories before those inside them.
func sortedMounts(mounts []*api.Mount) []*api.Mount {
	depth := func(m *api.Mount) int {
		return strings.Count(strings.TrimSuffix(filepath.Clean("/"+m.Target), "/"), "/")
	}
	return slices.SortedStableFunc(slices.Values(mounts), func(a, b *api.Mount) int { return depth(a) - depth(b) })
}
