package network

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// Network is one switch with its gateway. Its methods may be called from any goroutine.
type Network struct {
	name   string
	subnet netip.Prefix
	mtu    int
	log    *slog.Logger

	sw      ethernetSwitch
	gateway *gateway
	names   *names
	dns     *nameServer

	mu        sync.RWMutex
	addresses *addresses
	endpoints map[netip.Addr]*Endpoint
	closed    bool
}

// startNetwork starts a network on a /24. inside tells which addresses belong to any network of the engine.
func startNetwork(name string, subnet netip.Prefix, o Options, inside func(netip.Addr) bool) (*Network, error) {
	a := newAddresses(subnet)
	n := &Network{
		name:      name,
		subnet:    subnet,
		mtu:       o.MTU,
		log:       o.Log.With("network", name),
		names:     newNames(name, a.gateway, a.host),
		addresses: a,
		endpoints: map[netip.Addr]*Endpoint{},
	}
	n.gateway = &gateway{log: n.log, address: a.gateway, host: a.host, guest: n.endpoint, inside: func(at netip.Addr) bool {
		return subnet.Contains(at) || inside(at)
	}}
	if err := n.gateway.start(&n.sw, o.MTU); err != nil {
		return nil, err
	}
	n.dns = &nameServer{log: n.log, names: n.names, subnet: subnet, upstream: newUpstream(o.Nameservers), guest: n.endpoint}
	if err := n.dns.start(n.gateway); err != nil {
		n.gateway.close()
		return nil, err
	}
	return n, nil
}

// Name returns the name that the network was asked for with.
func (n *Network) Name() string { return n.name }

// Subnet returns the network's /24.
func (n *Network) Subnet() netip.Prefix { return n.subnet }

// Gateway returns the address of the network's router, which is its name server too.
func (n *Network) Gateway() netip.Addr { return n.gateway.address }

// Host returns the address that stands for the host's loopback: a connection to it goes to 127.0.0.1 of
// the host, or to ::1 if that refuses.
func (n *Network) Host() netip.Addr { return n.gateway.host }

// MTU returns the largest IPv4 packet on the network, in bytes.
func (n *Network) MTU() int { return n.mtu }

// DialTCP connects from the gateway to a container of this network. The connection has CloseRead and
// CloseWrite, and ends when the container leaves.
func (n *Network) DialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	ep := n.endpoint(to.Addr())
	if ep == nil {
		return nil, fmt.Errorf("dial %s on network %q: no container has this address", to, n.name)
	}
	conn, err := n.gateway.dial(ctx, ep, to.Port())
	if err != nil {
		return nil, fmt.Errorf("dial %s (%s) on network %q: %w", to, ep.name, n.name, err)
	}
	return conn, nil
}

// endpoint returns the container with an address, or nil.
func (n *Network) endpoint(at netip.Addr) *Endpoint {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.endpoints[at]
}

// close detaches all containers and ends the network. It returns when nothing of it runs any more.
func (n *Network) close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.end()
}

// closeIfUnused is close, but returns ErrInUse and does nothing if containers are attached.
func (n *Network) closeIfUnused() error {
	n.mu.Lock()
	if len(n.endpoints) > 0 {
		var users []string
		for _, ep := range n.endpoints {
			users = append(users, ep.name)
		}
		n.mu.Unlock()
		slices.Sort(users)
		return fmt.Errorf("network %q: %w by %s: stop or disconnect them first", n.name, ErrInUse, strings.Join(users, ", "))
	}
	n.closed = true
	n.mu.Unlock()
	n.end()
	return nil
}

// end stops everything. The network is marked as closed, so that nobody attaches meanwhile.
func (n *Network) end() {
	n.mu.RLock()
	var all []*Endpoint
	for _, ep := range n.endpoints {
		all = append(all, ep)
	}
	n.mu.RUnlock()
	var wg sync.WaitGroup
	for _, ep := range all {
		wg.Go(func() { ep.Close() })
	}
	wg.Wait()
	n.dns.stop()
	n.gateway.close()
}
