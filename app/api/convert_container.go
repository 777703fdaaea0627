package api

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-app/skerry/engine"
)

// Names that Docker has for parts of the engine.
const (
	runtimeName   = "skerry"
	storageDriver = "ext4"  // one read-only file system per image, one writable one per container
	logDriver     = "local" // Docker's name for files of no public format
)

// toSummary converts a container for a list.
func toSummary(s engine.Snapshot, now time.Time) container.Summary {
	sum := container.Summary{
		ID:              s.ID,
		Names:           []string{"/" + s.Name},
		Image:           s.Spec.Image,
		ImageID:         s.ImageID.String(),
		Command:         commandLine(s.Path, s.Args),
		Created:         s.Created.Unix(),
		Ports:           toPortSummaries(s),
		Labels:          nonNilMap(s.Spec.Labels),
		State:           container.ContainerState(s.State.Status),
		Status:          statusText(s.State, now),
		NetworkSettings: &container.NetworkSettingsSummary{Networks: endpoints(s)},
		Mounts:          toMountPoints(s.Spec.Mounts),
	}
	sum.HostConfig.NetworkMode = networkName(s.Spec.Network)
	return sum
}

// commandLine joins a command for people; words with spaces are quoted.
func commandLine(path string, args []string) string {
	var b strings.Builder
	b.WriteString(path)
	for _, a := range args {
		if strings.Contains(a, " ") {
			a = "'" + a + "'"
		}
		b.WriteString(" " + a)
	}
	return b.String()
}

// statusText is a state in Docker's words: "Up 5 seconds".
func statusText(s engine.State, now time.Time) string {
	switch s.Status {
	case engine.StatusRunning:
		up := "Up " + units.HumanDuration(now.Sub(s.StartedAt))
		switch h := s.Health; {
		case h == nil:
		case h.Status == engine.HealthStarting:
			up += " (health: starting)"
		default:
			up += " (" + string(h.Status) + ")"
		}
		return up
	case engine.StatusPaused:
		return fmt.Sprintf("Up %s (Paused)", units.HumanDuration(now.Sub(s.StartedAt)))
	case engine.StatusRestarting:
		return fmt.Sprintf("Restarting (%d) %s ago", s.ExitCode, units.HumanDuration(now.Sub(s.FinishedAt)))
	case engine.StatusRemoving:
		return "Removal In Progress"
	case engine.StatusDead:
		return "Dead"
	case engine.StatusExited:
		return fmt.Sprintf("Exited (%d) %s ago", s.ExitCode, units.HumanDuration(now.Sub(s.FinishedAt)))
	default:
		return "Created"
	}
}

// toPortSummaries lists the published ports; while nothing runs they are not
// bound and only the container's side shows, as with Docker.
func toPortSummaries(s engine.Snapshot) []container.PortSummary {
	list := []container.PortSummary{}
	if !s.State.Status.Alive() {
		return list
	}
	for _, b := range s.Bindings {
		list = append(list, container.PortSummary{IP: b.HostIP, PrivatePort: b.Container, PublicPort: b.HostPort, Type: b.Protocol})
	}
	return list
}

// inspection is Docker's answer with what is Skerry's own and what Docker had
// in older versions and tools still ask for.
type inspection struct {
	container.InspectResponse
	NetworkSettings networkSettings
	Skerry          start
}

// networkSettings: the address at the top level is gone from API 1.52 on, but
// not from people's templates.
type networkSettings struct {
	container.NetworkSettings
	Bridge      string
	EndpointID  string
	Gateway     string
	IPAddress   string
	IPPrefixLen int
	MacAddress  string
}

// start tells how the last start went.
type start struct {
	Phases []phase
	Error  string `json:",omitempty"`
}

type phase struct {
	Name    string
	Seconds float64
}

// toInspect converts a container with the configuration of its image, which is
// nil when the image is gone.
func toInspect(s engine.Snapshot, image *ocispec.ImageConfig) inspection {
	in := inspection{
		InspectResponse: container.InspectResponse{
			ID:       s.ID,
			Created:  s.Created.UTC().Format(time.RFC3339Nano),
			Path:     s.Path,
			Args:     nonNil(s.Args),
			State:    toState(s.State),
			Image:    s.ImageID.String(),
			LogPath:  s.LogPath,
			Name:     "/" + s.Name,
			Driver:   storageDriver,
			Platform: "linux",

			RestartCount: s.State.Restarts,
			HostConfig: &container.HostConfig{
				LogConfig:      container.LogConfig{Type: logDriver, Config: map[string]string{}},
				NetworkMode:    container.NetworkMode(networkName(s.Spec.Network)),
				PortBindings:   toPortMap(s.Spec.Ports),
				RestartPolicy:  toRestartPolicy(s.Spec.Restart),
				AutoRemove:     s.Spec.AutoRemove,
				ExtraHosts:     s.Spec.ExtraHosts,
				Privileged:     s.Spec.Privileged,
				ReadonlyRootfs: s.Spec.ReadOnly,
				Runtime:        runtimeName,
				Resources: container.Resources{Memory: s.Spec.Memory,
					NanoCPUs: int64(s.Spec.CPUs * 1e9)},
			},
			Mounts: toMountPoints(s.Spec.Mounts),
			Config: toConfig(s, image),
		},
		Skerry: start{Phases: []phase{}, Error: s.State.Error},
	}
	for _, p := range s.State.Phases {
		in.Skerry.Phases = append(in.Skerry.Phases, phase{p.Name, p.Duration.Seconds()})
	}
	showProcess(in.HostConfig, s.Spec)
	in.HostConfig.Binds, in.HostConfig.Mounts = fromMounts(s.Spec.Mounts)
	in.NetworkSettings = toNetworkSettings(s)
	return in
}

func toRestartPolicy(p engine.RestartPolicy) container.RestartPolicy {
	if p.Name == "" {
		p.Name = engine.RestartNo
	}
	return container.RestartPolicy{Name: container.RestartPolicyMode(p.Name), MaximumRetryCount: p.MaximumRetryCount}
}

func fromRestartPolicy(p container.RestartPolicy) engine.RestartPolicy {
	return engine.RestartPolicy{Name: string(p.Name), MaximumRetryCount: p.MaximumRetryCount}
}

func toHealth(h *engine.Health) *container.Health {
	if h == nil {
		return nil
	}
	to := &container.Health{Status: container.HealthStatus(h.Status), FailingStreak: h.FailingStreak, Log: []*container.HealthcheckResult{}}
	for _, r := range h.Log {
		to.Log = append(to.Log, &container.HealthcheckResult{Start: r.Start, End: r.End, ExitCode: r.ExitCode, Output: r.Output})
	}
	return to
}

func toState(s engine.State) *container.State {
	return &container.State{
		Status:     container.ContainerState(s.Status),
		Running:    s.Status.InUse(), // as Docker has it
		Paused:     s.Status == engine.StatusPaused,
		Restarting: s.Status == engine.StatusRestarting,
		OOMKilled:  s.OOMKilled,
		Dead:       s.Status == engine.StatusDead,
		Pid:        s.Pid,
		ExitCode:   s.ExitCode,
		Error:      s.Error,
		Health:     toHealth(s.Health),
		StartedAt:  s.StartedAt.UTC().Format(time.RFC3339Nano), // the zero time is "0001-01-01T00:00:00Z", as with Docker
		FinishedAt: s.FinishedAt.UTC().Format(time.RFC3339Nano),
	}
}

func toNetworkSettings(s engine.Snapshot) networkSettings {
	ns := networkSettings{NetworkSettings: container.NetworkSettings{Ports: network.PortMap{}, Networks: endpoints(s)}}
	for _, p := range s.Spec.Ports { // exposed, though not bound yet
		if port, err := network.ParsePort(portString(p)); err == nil {
			ns.Ports[port] = nil
		}
	}
	for port, bindings := range toPortMap(s.Bindings) {
		ns.Ports[port] = bindings
	}
	if e := s.Endpoint; e != nil {
		ns.EndpointID, ns.Gateway, ns.IPAddress = endpointID(s), e.Gateway.String(), e.Address.Addr().String()
		ns.IPPrefixLen, ns.MacAddress = prefixBits(e.Address), e.MAC
	}
	return ns
}

func toPortMap(ports []engine.Port) network.PortMap {
	m := network.PortMap{}
	for _, p := range ports {
		port, err := network.ParsePort(portString(p))
		if err != nil {
			continue
		}
		host := ""
		if p.HostPort != 0 {
			host = strconv.Itoa(int(p.HostPort))
		}
		m[port] = append(m[port], network.PortBinding{HostIP: p.HostIP, HostPort: host})
	}
	return m
}

// toConfig shows the container's and the image's configuration put together.
func toConfig(s engine.Snapshot, image *ocispec.ImageConfig) *container.Config {
	c := &container.Config{
		Hostname: s.Spec.Hostname, Domainname: s.Spec.Domainname, User: s.User,
		AttachStdin: s.Spec.OpenStdin && s.Spec.StdinOnce,
		Tty:         s.Spec.TTY, OpenStdin: s.Spec.OpenStdin, StdinOnce: s.Spec.StdinOnce,
		Env: nonNil(s.Env), Image: s.Spec.Image, WorkingDir: s.WorkingDir,
		Labels: nonNilMap(s.Spec.Labels), StopSignal: s.Spec.StopSignal, Healthcheck: s.Spec.Health,
	}
	c.Entrypoint, c.Cmd = splitCommand(s, image)
	if s.Spec.StopTimeout != nil {
		t := int(*s.Spec.StopTimeout / time.Second)
		c.StopTimeout = &t
	}
	exposed := network.PortSet{}
	for _, p := range s.Spec.Ports {
		if port, err := network.ParsePort(portString(p)); err == nil {
			exposed[port] = struct{}{}
		}
	}
	if image != nil {
		for text := range image.ExposedPorts {
			if port, err := network.ParsePort(text); err == nil {
				exposed[port] = struct{}{}
			}
		}
		if c.StopSignal == "" {
			c.StopSignal = image.StopSignal
		}
	}
	if len(exposed) > 0 {
		c.ExposedPorts = exposed
	}
	return c
}

// splitCommand tells how much of what runs is the entrypoint.
func splitCommand(s engine.Snapshot, image *ocispec.ImageConfig) (entrypoint, command []string) {
	all := append([]string{s.Path}, s.Args...)
	n := 0
	switch {
	case s.Spec.Entrypoint != nil:
		n = len(s.Spec.Entrypoint)
	case s.Spec.Command != nil:
		n = len(all) - len(s.Spec.Command)
	case image != nil:
		n = len(image.Entrypoint)
	}
	n = min(max(n, 0), len(all))
	return slices.Clip(all[:n:n]), all[n:]
}

func toTop(processes []engine.ProcessInfo, now time.Time) container.TopResponse {
	top := container.TopResponse{Titles: []string{"UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"}, Processes: [][]string{}}
	for _, p := range processes {
		share := 0
		if age := now.Sub(p.StartedAt); age > 0 {
			share = int(100 * p.CPU / age)
		}
		cpu := int(p.CPU.Seconds())
		top.Processes = append(top.Processes, []string{
			p.User, strconv.Itoa(p.Pid), strconv.Itoa(p.Parent), strconv.Itoa(share), p.StartedAt.Local().Format("15:04"), "?",
			fmt.Sprintf("%02d:%02d:%02d", cpu/3600, cpu/60%60, cpu%60), p.Command,
		})
	}
	return top
}

func nonNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func nonNilMap(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
