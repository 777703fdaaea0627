//go:build linux

package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/cgroup"
	"github.com/skerry-app/skerry/guest/disk"
	"github.com/skerry-app/skerry/guest/launch"
	"github.com/skerry-app/skerry/guest/network"
	"github.com/skerry-app/skerry/guest/translator"
)

// sharesDir is where the host's directories are in the machine.
const sharesDir = "/run/shares"

// machineSysctls hold for every machine: memory is the container's to promise,
// databases map many files, and what Docker allows in a network namespace:
// low ports and pings without capabilities.
var machineSysctls = map[string]string{
	"vm.overcommit_memory":                "1",
	"vm.max_map_count":                    "262144",
	"net.ipv4.ip_unprivileged_port_start": "0",
	"net.ipv4.ping_group_range":           "0 2147483647",
}

// Configure implements api.AgentServer.
func (s *Server) Configure(ctx context.Context, r *api.ConfigureRequest) (*api.ConfigureResponse, error) {
	s.mu.Lock()
	before := s.configured
	s.configured = true
	s.mu.Unlock()
	if before {
		return nil, status.Error(codes.FailedPrecondition, "the machine has been configured already")
	}
	leased, err := s.configure(r)
	if err != nil {
		return nil, failed(err)
	}
	if r.Container != nil {
		if err := s.add(ctx, r.Container); err != nil {
			return nil, err
		}
	}
	return &api.ConfigureResponse{Interfaces: leased}, nil
}

// configure returns the interfaces that have got their addresses by DHCP.
func (s *Server) configure(r *api.ConfigureRequest) (leased []*api.Interface, err error) {
	if err := setTime(r.Time); err != nil {
		return nil, err
	}
	if err := mountShares(r.ShareTag); err != nil {
		return nil, err
	}
	translators, err := translator.Register(r.Translators, sharesDir, s.Reaper.Start)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.translators = translators
	s.mu.Unlock()
	if leased, err = network.Configure(r.Interfaces, s.setPlace); err != nil {
		return nil, err
	}
	for _, i := range slices.Backward(slices.Concat(r.Interfaces, leased)) { // the first counts, and what DHCP says
		s.setPlace(i)
	}
	for _, serial := range r.SwapDisks {
		if err := disk.Swap(serial); err != nil {
			return nil, err
		}
	}
	return leased, launch.SetSysctls(machineSysctls)
}

// setPlace notes where on the network the machine is.
func (s *Server) setPlace(i *api.Interface) {
	if len(i.Addresses) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.address, _, _ = strings.Cut(i.Addresses[0], "/")
	s.nameservers = i.Nameservers
}

// newGroup returns a control group for a container; the first has been made
// ahead.
func (s *Server) newGroup(id string) (*cgroup.Group, error) {
	s.mu.Lock()
	first := !s.firstTaken
	s.firstTaken = true
	s.mu.Unlock()
	if first {
		return s.FirstGroup()
	}
	if _, err := s.FirstGroup(); err != nil { // what all others need, too
		return nil, err
	}
	return cgroup.New(id)
}

// holdPIDs makes the PID namespace for containers that share one.
func holdPIDs() (int, error) {
	group, err := cgroup.Agent()
	if err != nil {
		return -1, err
	}
	defer group.Close()
	return launch.Hold(int(group.Fd()))
}

func mountShares(tag string) error {
	if tag == "" {
		return nil
	}
	if err := os.MkdirAll(sharesDir, 0o700); err != nil {
		return err
	}
	if err := unix.Mount(tag, sharesDir, "virtiofs", unix.MS_NODEV, ""); err != nil {
		return fmt.Errorf("mount the host's directories: %w", err)
	}
	return nil
}

// unmountShares has what programs have written into the host's directories by
// mapping files go there, and lets go of them.
func unmountShares() error {
	fd, err := unix.Open(sharesDir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: sharesDir, Err: err}
	}
	err = unix.Syncfs(fd)
	unix.Close(fd)
	if err != nil {
		return fmt.Errorf("write to the host's directories: %w", err)
	}
	if err := unix.Unmount(sharesDir, 0); err != nil && err != unix.EINVAL { // was not mounted
		return fmt.Errorf("unmount the host's directories: %w", err)
	}
	return nil
}

// Shutdown implements api.AgentServer.
func (s *Server) Shutdown(ctx context.Context, _ *api.ShutdownRequest) (*api.ShutdownResponse, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, shutdownTimeout, errors.New("the container holds on to it"))
	defer cancel()
	s.mu.Lock()
	all := s.containers
	s.containers = map[string]*container{}
	translators := s.translators
	s.mu.Unlock()
	var errs []error
	for _, c := range all {
		if c != nil {
			errs = append(errs, c.remove(ctx, s))
		}
	}
	if err := errors.Join(append(errs, translators.Close(), unmountShares())...); err != nil {
		unix.Sync() // the least that can be done
		return nil, failed(err)
	}
	return &api.ShutdownResponse{}, nil
}

// AddContainer implements api.AgentServer.
func (s *Server) AddContainer(ctx context.Context, r *api.AddContainerRequest) (*api.AddContainerResponse, error) {
	s.mu.Lock()
	configured := s.configured
	s.mu.Unlock()
	if !configured {
		return nil, status.Error(codes.FailedPrecondition, "the machine has not been configured")
	}
	if err := s.add(ctx, r.Container); err != nil {
		return nil, err
	}
	return &api.AddContainerResponse{}, nil
}

// RemoveContainer implements api.AgentServer.
func (s *Server) RemoveContainer(ctx context.Context, r *api.RemoveContainerRequest) (*api.RemoveContainerResponse, error) {
	s.mu.Lock()
	c := s.containers[r.Container]
	if c != nil {
		s.containers[r.Container] = nil // its id stays taken until it is gone
	}
	s.mu.Unlock()
	if c == nil {
		return &api.RemoveContainerResponse{}, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, shutdownTimeout, errors.New("the container holds on to it"))
	defer cancel()
	err := c.remove(ctx, s)
	s.mu.Lock()
	delete(s.containers, r.Container)
	s.mu.Unlock()
	if err != nil {
		return nil, failed(err)
	}
	return &api.RemoveContainerResponse{}, nil
}

// PauseContainer implements api.AgentServer.
func (s *Server) PauseContainer(_ context.Context, r *api.PauseContainerRequest) (*api.PauseContainerResponse, error) {
	c, err := s.container(r.Container)
	if err != nil {
		return nil, err
	}
	if err := c.group.Pause(r.Paused); err != nil {
		return nil, failed(err)
	}
	return &api.PauseContainerResponse{}, nil
}
