package project

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/skerry-app/skerry/app/label"
	"github.com/skerry-app/skerry/app/project/skerryfile"
	"github.com/skerry-app/skerry/engine"
)

// containerName is what a project's container is called outside of it.
func containerName(project, container string) string { return project + "-" + container }

// volumeName is what a project's volume is called outside of it.
func volumeName(project string, v skerryfile.Volume) string {
	if v.External {
		return v.Name
	}
	return project + "_" + v.Name
}

// spec is what the engine makes of a project's container.
func spec(p *skerryfile.Project, c *skerryfile.Container) (engine.Spec, error) {
	s := engine.Spec{
		Name: containerName(p.Name, c.Name), Image: c.Image, Platform: c.Platform,
		Entrypoint: c.Entrypoint, Command: c.Command, Env: c.Environment,
		WorkingDir: c.WorkingDir, User: c.User, Hostname: c.Hostname, TTY: c.TTY,
		CPUs: c.CPUs, Memory: c.Memory, DiskSize: c.Disk, ShmSize: c.ShmSize, Pod: c.Pod,
		Network: p.Name, Aliases: []string{c.Name}, ExtraHosts: c.ExtraHosts, DNS: c.DNS,
		Privileged: c.Privileged, ReadOnly: c.ReadOnly, CapAdd: c.CapAdd, CapDrop: c.CapDrop,
		Tmpfs: c.Tmpfs, Sysctls: c.Sysctls, Kernel: c.Kernel, Virtualization: c.Virtualization,
		StopSignal: c.StopSignal, StopTimeout: c.StopGracePeriod,
		Restart: engine.RestartPolicy{Name: c.Restart.Policy, MaximumRetryCount: c.Restart.Retries},
		Labels:  maps.Clone(c.Labels),
	}
	if c.Network != "" {
		s.Network, s.Aliases = c.Network, nil
	}
	if h := c.Health; h != nil {
		s.Health = &engine.HealthCheck{Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, StartPeriod: h.StartPeriod,
			StartInterval: h.StartInterval, Retries: h.Retries}
	}
	for _, l := range c.Ulimits {
		s.Ulimits = append(s.Ulimits, engine.Ulimit(l))
	}
	for _, port := range c.Ports {
		s.Ports = append(s.Ports, engine.Port{HostIP: port.HostIP, HostPort: port.HostPort, Container: port.Container, Protocol: "tcp"})
	}
	for _, m := range c.Mounts {
		s.Mounts = append(s.Mounts, mount(p, m))
	}
	if c.SSH {
		if s.SSHAgent = os.Getenv("SSH_AUTH_SOCK"); s.SSHAgent == "" {
			return s, fmt.Errorf("container %s: ssh: the app was started without SSH_AUTH_SOCK: start an SSH agent, and the app after it", c.Name)
		}
	}
	prints, err := fingerprints(s)
	if err != nil {
		return s, fmt.Errorf("container %s: %w", c.Name, err)
	}
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	s.Labels[label.Project] = p.Name
	s.Labels[label.Container] = c.Name
	s.Labels[label.File] = p.File
	s.Labels[label.Prints] = formatPrints(prints)
	if len(c.DependsOn) > 0 {
		s.Labels[label.DependsOn] = formatNeeds(needs(c))
	}
	if c.WebPort != 0 {
		s.Labels[label.WebPort] = strconv.Itoa(int(c.WebPort))
	}
	return s, nil
}

func mount(p *skerryfile.Project, m skerryfile.Mount) engine.Mount {
	to := engine.Mount{Type: engine.MountBind, Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly}
	if !m.Bind {
		i := slices.IndexFunc(p.Volumes, func(v skerryfile.Volume) bool { return v.Name == m.Source })
		to.Type, to.Source = engine.MountVolume, volumeName(p.Name, p.Volumes[i])
	}
	return to
}
