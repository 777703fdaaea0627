//go:build linux

package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/cgroup"
	"github.com/skerry-app/skerry/guest/device"
	"github.com/skerry-app/skerry/guest/disk"
	"github.com/skerry-app/skerry/guest/launch"
	"github.com/skerry-app/skerry/guest/process"
)

// containersDir is where the containers' parts are in the machine.
const containersDir = "/run/containers"

// container is one container of the machine.
type container struct {
	id    string
	group *cgroup.Group
	table *process.Table
	disks []string // that it uses, by serial

	scratch   string         // the serial of the one that its root is written to
	listeners []net.Listener // of sockets that stand for the host's
}

// path returns a place for a part of the container.
func (c *container) path(part string) string { return filepath.Join(containersDir, c.id, part) }

var containerID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// container finds a container by its id.
func (s *Server) container(id string) (*container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.containers[id]; c != nil {
		return c, nil
	}
	return nil, status.Errorf(codes.NotFound, "the machine has no container %q", id)
}

// add prepares a container. Of one that cannot be prepared nothing is left.
func (s *Server) add(ctx context.Context, spec *api.Container) error {
	if spec.GetRoot() == nil || spec.Process == nil || spec.Names == nil {
		return status.Error(codes.InvalidArgument, "a container needs root, names and process")
	}
	if !containerID.MatchString(spec.Id) {
		return status.Errorf(codes.InvalidArgument, "%q is no id of a container", spec.Id)
	}
	if err := s.reserve(spec.Id); err != nil {
		return err
	}
	c := &container{id: spec.Id, scratch: spec.Root.ScratchDisk}
	err := c.prepare(ctx, s, spec)
	if err == nil {
		err = s.keep(ctx, c)
	}
	if err != nil {
		err = failed(errors.Join(err, c.remove(context.WithoutCancel(ctx), s)))
		s.mu.Lock()
		delete(s.containers, spec.Id)
		s.mu.Unlock()
	}
	return err
}

// keep has others find a container that is ready. If nobody waits for it any
// more it is not kept: who asked may have wanted it removed, too early.
func (s *Server) keep(ctx context.Context, c *container) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	s.containers[c.id] = c
	return nil
}

// reserve keeps others from taking an id.
func (s *Server) reserve(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.containers[id]; ok {
		return status.Errorf(codes.AlreadyExists, "the machine has a container %q already", id)
	}
	s.containers[id] = nil
	return nil
}

func (c *container) prepare(ctx context.Context, s *Server, spec *api.Container) (err error) {
	if err := c.mountDisks(s, spec); err != nil {
		return err
	}
	if c.group, err = s.newGroup(spec.Id); err != nil {
		return err
	}
	c.table = process.NewTable(s.Reaper, c.group)
	if err := c.group.Limit(spec.Resources); err != nil {
		return err
	}
	devices, err := c.allowDevices(spec)
	if err != nil {
		return err
	}
	s.mu.Lock()
	address, servers := s.address, s.nameservers
	s.mu.Unlock()
	files, err := c.writeFiles(spec.Names, address, servers)
	if err != nil {
		return err
	}
	sockets, err := c.listenSockets(spec.Sockets)
	if err != nil {
		return err
	}
	maps.Copy(files, sockets)
	s.mu.Lock()
	maps.Copy(files, s.translators.Files)
	s.mu.Unlock()
	pids := -1
	if spec.SharePids {
		if pids, err = s.sharedPIDs(); err != nil {
			return err
		}
	}
	spec.Process.Id = process.Init
	scratch := disk.Path(c.scratch)
	return c.table.Create(ctx, spec.Process, &launch.Root{
		Stage: c.path("rootfs"), Lower: disk.Path(spec.Root.ImageDisk), Upper: filepath.Join(scratch, "upper"), Work: filepath.Join(scratch, "work"),
		Cgroup: c.group.Path(), ReadOnly: spec.Root.ReadOnly, Mounts: sortedMounts(spec.Mounts), Shares: sharesDir, Disks: disk.Dir, Sysctls: spec.Sysctls,
		Hostname: spec.Names.Hostname, Domain: spec.Names.Domainname, Files: files,
		Masked: spec.MaskedPaths, Fixed: spec.ReadOnlyPaths, Devices: devices, Shm: spec.ShmBytes, PIDs: pids,
	})
}

// mountDisks mounts what the container's file system is made of.
func (c *container) mountDisks(s *Server, spec *api.Container) error {
	use := func(kind, serial string) error {
		if slices.Contains(c.disks, serial) {
			return nil
		}
		if err := s.disks.Use(kind, serial); err != nil {
			return err
		}
		c.disks = append(c.disks, serial)
		return nil
	}
	if err := errors.Join(use("", spec.Root.ImageDisk), use("", spec.Root.ScratchDisk)); err != nil {
		return err
	}
	for _, m := range spec.Mounts {
		if m.Type == "disk" {
			if err := use(m.FileSystem, m.Source); err != nil {
				return err
			}
		}
	}
	return os.MkdirAll(c.path("rootfs"), 0o755)
}

// allowDevices finds the devices that the container is to have, and lets it use
// them.
func (c *container) allowDevices(spec *api.Container) ([]device.Device, error) {
	devices, err := device.Find(spec.Devices)
	if err != nil {
		return nil, err
	}
	rules := spec.DeviceRules
	for _, d := range devices {
		rules = append(rules, d.Rule())
	}
	if spec.Process.Privileged {
		rules = []string{cgroup.AllDevices}
	}
	if len(rules) == 0 {
		return devices, nil
	}
	return devices, c.group.AllowDevices(rules)
}

// writeFiles writes the files about names; they are bound over the image's. The
// machine's address and its network's name servers stand in for those that are not
// given.
func (c *container) writeFiles(n *api.Names, address string, servers []string) (map[string]string, error) {
	var hosts, resolv strings.Builder
	hosts.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
	for _, h := range n.Hosts {
		fmt.Fprintf(&hosts, "%s\t%s\n", cmp.Or(h.Address, address), strings.Join(h.Names, " "))
	}
	if len(n.Nameservers) > 0 {
		servers = n.Nameservers
	}
	for _, server := range servers {
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
		path := c.path(name)
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

// remove ends the container, however far it has come, and lets go of all that it
// has.
func (c *container) remove(ctx context.Context, s *Server) error {
	s.thawAll()
	var errs []error
	for _, l := range c.listeners {
		errs = append(errs, l.Close())
	}
	if c.table != nil {
		errs = append(errs, c.table.KillAll(ctx))
	}
	for _, serial := range slices.Backward(c.disks) {
		errs = append(errs, s.disks.Release(ctx, serial))
	}
	if c.group != nil {
		errs = append(errs, c.group.Remove(ctx))
	}
	return errors.Join(append(errs, os.RemoveAll(c.path("")))...)
}
