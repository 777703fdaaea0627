package engine

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/skerry-app/skerry/engine/network"
)

// publish listens for the container's ports on the host. It comes before the
// machine is started, so that a port that is taken fails the start early.
func (r *run) publish(ctx context.Context, ports []Port) error {
	for _, p := range ports {
		hostIP := ""
		if p.HostIP.IsValid() {
			hostIP = p.HostIP.String()
		}
		published, err := r.c.engine.publisher.Publish(ctx, network.PortSpec{HostIP: hostIP, HostPort: p.HostPort,
			ContainerPort: p.Container, Protocol: p.Protocol}, r.dial)
		if err != nil {
			return fmt.Errorf("publish port %d: %w", p.Container, err)
		}
		r.published = append(r.published, published)
	}
	return nil
}

// dial reaches a port of the container through its machine's vsock, which
// works whatever the network between host and container does.
func (r *run) dial(ctx context.Context, port uint16) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := r.awaitLive(ctx); err != nil {
		return nil, err
	}
	return r.machine.client.DialPort(ctx, port)
}

// awaitLive waits until the process has started.
func (r *run) awaitLive(ctx context.Context) error {
	select {
	case <-r.live:
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// bindings are the published ports as they are.
func (r *run) bindings() []Port {
	var ports []Port
	for _, p := range r.published {
		for _, b := range p.Bindings() {
			ports = append(ports, Port{HostIP: b.Host.Addr(), HostPort: b.Host.Port(), Container: b.ContainerPort, Protocol: b.Protocol})
		}
	}
	return ports
}

// endpointInfo tells the container's place on its network.
func (r *run) endpointInfo() *Endpoint {
	e := r.machine.endpoint
	if e == nil {
		return r.machine.hostedEndpoint()
	}
	return &Endpoint{Network: networkName(r.c.rec.Spec), Address: e.Address, Gateway: e.Gateway, MAC: e.MAC.String(),
		Names: slices.Concat([]string{r.c.rec.Name}, r.c.aliases())}
}

// aliases are the names, beside its own, under which the container's
// neighbours find it.
func (c *Container) aliases() []string {
	return append([]string{c.id[:shortID]}, c.rec.Spec.Aliases...)
}
