package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
)

// EndpointOptions say who joins a network.
type EndpointOptions struct {
	// Name of the container. It resolves as "web", "web.shop" and "web.shop.internal", and is what the
	// address resolves back to.
	Name string
	// Aliases resolve as the name does. Several containers may share one: it has all their addresses.
	Aliases []string
	// Address asks for a certain address of the subnet. The zero value takes the next free one.
	Address netip.Addr
}

// Endpoint is a container's place in a network. Its fields do not change.
type Endpoint struct {
	Address netip.Prefix     // the container's own, with the length of the subnet
	Gateway netip.Addr       // default route
	DNS     netip.Addr       // name server
	MAC     net.HardwareAddr // locally administered; frames from any other source are dropped
	MTU     int              // bytes of IPv4 packet

	// File is the machine's end of a SOCK_DGRAM socket pair, one Ethernet frame a datagram. It belongs
	// to the caller, who closes it when whatever runs the machine has its own copy.
	File *os.File

	name    string
	names   []string
	ip      netip.Addr
	network *Network
	port    *port
	flows   *flows
	leave   sync.Once
}

// EndpointStats count the frames that a container's port did not carry since Attach.
type EndpointStats struct {
	Dropped  uint64 // to the container, which did not read fast enough
	Rejected uint64 // from the container: a source that is not its own, or a protocol that is not carried
}

// Attach gives a container an address and a port of the switch, and makes its names known. The error is
// ErrNoAddress if the subnet is full.
func (n *Network) Attach(ctx context.Context, o EndpointOptions) (*Endpoint, error) {
	ep, err := n.attach(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("attach %q to network %q: %w", o.Name, n.name, err)
	}
	return ep, nil
}

func (n *Network) attach(ctx context.Context, o EndpointOptions) (*Endpoint, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o.Name == "" {
		return nil, fmt.Errorf("a container needs a name")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, ErrClosed
	}
	ip, err := n.addresses.take(o.Address)
	if err != nil {
		return nil, err
	}
	ep := &Endpoint{
		Address: netip.PrefixFrom(ip, n.subnet.Bits()),
		Gateway: n.gateway.address,
		DNS:     n.gateway.address,
		MTU:     n.mtu,
		name:    o.Name,
		names:   append([]string{o.Name}, o.Aliases...),
		ip:      ip,
		network: n,
		flows:   newFlows(),
	}
	if err := ep.connect(); err != nil {
		n.addresses.release(ip)
		return nil, err
	}
	n.endpoints[ip] = ep
	return ep, nil
}

// connect registers the names and plugs the port in; it leaves nothing behind when it fails.
func (ep *Endpoint) connect() error {
	n, hw := ep.network, hwaddrFor(ep.ip)
	if err := n.names.add(ep.ip, ep.names); err != nil {
		return err
	}
	if err := n.gateway.know(ep.ip, hw); err != nil {
		n.names.remove(ep.ip, ep.names)
		return err
	}
	var err error
	ep.MAC = hw[:]
	ep.port, ep.File, err = openPort(&n.sw, hw, ep.ip)
	if err != nil {
		n.gateway.forget(ep.ip)
		n.names.remove(ep.ip, ep.names)
	}
	return err
}

// Close takes the container off the network: its names are forgotten, its connections end, its address
// is free again. It returns when nothing works for the endpoint any more; calls after the first do nothing.
func (ep *Endpoint) Close() error {
	ep.leave.Do(func() {
		n := ep.network
		n.names.remove(ep.ip, ep.names)
		ep.port.close()
		ep.flows.end()
		n.gateway.forget(ep.ip)
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.endpoints, ep.ip)
		n.addresses.release(ep.ip)
	})
	return nil
}

// Stats returns the port's counters.
func (ep *Endpoint) Stats() EndpointStats {
	return EndpointStats{Dropped: ep.port.dropped.Load(), Rejected: ep.port.rejected.Load()}
}
