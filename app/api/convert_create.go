package api

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/skerry-app/skerry/app/label"
	"github.com/skerry-app/skerry/engine"
)

// cpuPeriod is the kernel's default period of a CPU quota in microseconds.
const cpuPeriod = 100_000

// toOwn reads the labels that ask for what Docker has no words for.
func toOwn(spec *engine.Spec, labels map[string]string) error {
	spec.Pod, spec.SharePIDs, spec.SSHAgent = labels[label.Pod], labels[label.SharePIDs] == "true", labels[label.SSHAgent]
	spec.Kernel, spec.Virtualization = labels[label.Kernel], labels[label.Nested] == "true"
	for pair := range strings.FieldsFuncSeq(labels[label.Sockets], func(r rune) bool { return r == ',' }) {
		host, inside, ok := strings.Cut(pair, ":")
		if !ok {
			return invalid("label %s: %q is not host path:container path", label.Sockets, pair)
		}
		spec.Sockets = append(spec.Sockets, engine.Socket{Host: host, Container: inside})
	}
	return nil
}

// toSpec converts a request to create a container. What the engine cannot do
// is refused, but the empty and default values that clients always send are
// taken for what they are: nothing asked.
func toSpec(req container.CreateRequest) (engine.Spec, error) {
	c, h := req.Config, req.HostConfig
	if h == nil {
		h = &container.HostConfig{}
	}
	spec := engine.Spec{
		Image: c.Image, Env: c.Env, WorkingDir: c.WorkingDir, User: c.User, Hostname: c.Hostname,
		TTY: c.Tty, OpenStdin: c.OpenStdin, StdinOnce: c.StdinOnce,
		Memory: h.Memory, ExtraHosts: h.ExtraHosts, Labels: maps.Clone(c.Labels),
		Health: c.Healthcheck, Foreground: c.AttachStdin || c.AttachStdout || c.AttachStderr,
		AutoRemove: h.AutoRemove, Privileged: h.Privileged, ReadOnly: h.ReadonlyRootfs, StopSignal: c.StopSignal,
	}
	if err := refuse(c, h); err != nil {
		return spec, err
	}
	if p := h.RestartPolicy; !p.IsNone() {
		spec.Restart = fromRestartPolicy(p)
	}
	// As Docker: [""] clears the image's entrypoint, no command takes the image's.
	spec.Entrypoint = c.Entrypoint
	if len(c.Entrypoint) == 1 && c.Entrypoint[0] == "" {
		spec.Entrypoint = []string{}
	}
	if len(c.Cmd) > 0 {
		spec.Command = c.Cmd
	}
	if c.StopTimeout != nil {
		d := inSeconds(*c.StopTimeout)
		spec.StopTimeout = &d
	}
	if err := toProcess(&spec, c, h); err != nil {
		return spec, err
	}
	if err := toResources(&spec, &h.Resources); err != nil {
		return spec, err
	}
	var err error
	if spec.CPUs, err = cpus(h.Resources); err != nil {
		return spec, err
	}
	for option, value := range h.StorageOpt {
		if option != "size" {
			return spec, notImplemented("the storage option " + option + " is")
		}
		if spec.DiskSize, err = units.RAMInBytes(value); err != nil {
			return spec, invalid("storage option size: %q is no size such as 10g", value)
		}
	}
	if spec.Ports, err = toPorts(h.PortBindings); err != nil {
		return spec, err
	}
	if spec.Mounts, err = toMounts(c.Volumes, h); err != nil {
		return spec, err
	}
	if err := toOwn(&spec, c.Labels); err != nil {
		return spec, err
	}
	err = join(&spec, h.NetworkMode, req.NetworkingConfig)
	return spec, err
}

// cpus reads the number of CPUs, given as such or as a quota.
func cpus(r container.Resources) (float64, error) {
	switch {
	case r.NanoCPUs != 0 && (r.CPUQuota != 0 || r.CPUPeriod != 0):
		return 0, invalid("conflicting options: NanoCpus and CpuPeriod or CpuQuota cannot both be set")
	case r.NanoCPUs < 0 || r.CPUPeriod < 0:
		return 0, invalid("the number of CPUs cannot be negative")
	case r.NanoCPUs != 0:
		return float64(r.NanoCPUs) / 1e9, nil
	case r.CPUQuota <= 0: // -1: no quota
		return 0, nil
	case r.CPUPeriod == 0:
		return float64(r.CPUQuota) / cpuPeriod, nil
	default:
		return float64(r.CPUQuota) / float64(r.CPUPeriod), nil
	}
}

// toPorts converts port bindings, ordered by the container's port. A port with
// an empty list of bindings is exposed, not published.
func toPorts(bindings network.PortMap) ([]engine.Port, error) {
	var ports []engine.Port
	for _, p := range slices.SortedFunc(maps.Keys(bindings), comparePorts) {
		if !p.IsValid() || p.Num() == 0 {
			return nil, invalid("invalid container port %q: use 1 to %d", p, math.MaxUint16)
		}
		for _, b := range bindings[p] {
			port := engine.Port{HostIP: b.HostIP, Container: p.Num(), Protocol: string(p.Proto())}
			if b.HostPort != "" {
				r, err := network.ParsePortRange(b.HostPort)
				if err != nil {
					return nil, invalid("invalid host port %q: use 1 to %d", b.HostPort, math.MaxUint16)
				}
				if r.Start() != r.End() {
					return nil, notImplemented("choosing a host port from the range " + b.HostPort + " is")
				}
				port.HostPort = r.Start()
			}
			ports = append(ports, port)
		}
	}
	return ports, nil
}

func comparePorts(a, b network.Port) int {
	if a.Num() != b.Num() {
		return int(a.Num()) - int(b.Num())
	}
	return slices.Compare([]byte(a.Proto()), []byte(b.Proto()))
}

// join reads which network to join and under which names. Clients repeat the
// network of the mode in the endpoints, the default one as "default".
func join(spec *engine.Spec, mode container.NetworkMode, config *network.NetworkingConfig) error {
	switch {
	case mode.IsNone():
		spec.Network = engine.NoNetwork
		return nil
	case mode.IsHost():
		return notImplemented("the host's network for containers is")
	case mode.IsContainer():
		return notImplemented("sharing another container's network is")
	}
	spec.Network = engineNetwork(string(mode))
	if config == nil {
		return nil
	}
	if len(config.EndpointsConfig) > 1 {
		return notImplemented("joining several networks is")
	}
	for name, e := range config.EndpointsConfig {
		if engineNetwork(name) != spec.Network && spec.Network != "" {
			return invalid("NetworkMode %q and the endpoint %q name different networks", mode, name)
		}
		spec.Network = engineNetwork(name)
		if e == nil {
			continue
		}
		spec.Aliases = e.Aliases
		if err := refuseEndpoint(e); err != nil {
			return err
		}
	}
	return nil
}

func refuseEndpoint(e *network.EndpointSettings) error {
	fixed := false
	if c := e.IPAMConfig; c != nil {
		fixed = c.IPv4Address.IsValid() || c.IPv6Address.IsValid() || len(c.LinkLocalIPs) > 0
	}
	return firstRefused([]feature{
		{"fixed addresses are", fixed},
		{"fixed MAC addresses are", len(e.MacAddress) > 0},
		{"links between containers are", len(e.Links) > 0},
		{"network driver options are", len(e.DriverOpts) > 0},
	})
}

// publishAll publishes the ports that the image or the request exposes and
// that are not published yet, each on a port of the host's choice.
func publishAll(spec *engine.Spec, exposed []network.Port) {
	slices.SortFunc(exposed, comparePorts)
	for _, p := range slices.Compact(exposed) {
		if !slices.ContainsFunc(spec.Ports, func(q engine.Port) bool { return q.Container == p.Num() && q.Protocol == string(p.Proto()) }) {
			spec.Ports = append(spec.Ports, engine.Port{Container: p.Num(), Protocol: string(p.Proto())})
		}
	}
}

// portString is a port in Docker's form, "80/tcp".
func portString(p engine.Port) string {
	return strconv.Itoa(int(p.Container)) + "/" + p.Protocol
}
