package cli

import (
	"fmt"
	"net/netip"

	"github.com/docker/go-connections/nat"
	"github.com/moby/moby/api/types/network"
)

// parsePorts reads docker's notation for published ports,
// [address:][host port:]container port[/protocol] with ranges of one length,
// into the two forms that the API wants. Without a host port one is picked.
func parsePorts(specs []string) (network.PortSet, network.PortMap, error) {
	if len(specs) == 0 {
		return nil, nil, nil
	}
	exposed, bindings := network.PortSet{}, network.PortMap{}
	for _, spec := range specs {
		mappings, err := nat.ParsePortSpec(spec)
		if err != nil {
			return nil, nil, fmt.Errorf("--publish %s: %w", spec, err)
		}
		for _, m := range mappings {
			port, err := network.ParsePort(string(m.Port))
			if err != nil {
				return nil, nil, fmt.Errorf("--publish %s: %w", spec, err)
			}
			binding := network.PortBinding{HostPort: m.Binding.HostPort}
			if m.Binding.HostIP != "" {
				if binding.HostIP, err = netip.ParseAddr(m.Binding.HostIP); err != nil {
					return nil, nil, fmt.Errorf("--publish %s: %w", spec, err)
				}
			}
			exposed[port] = struct{}{}
			bindings[port] = append(bindings[port], binding)
		}
	}
	return exposed, bindings, nil
}
