package network

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// DefaultMTU is the largest IPv4 packet on a network, less room for headers that nobody uses yet.
	// Frames never leave this process, so that they can be as large as IPv4 allows: it is what the
	// throughput depends on.
	DefaultMTU = 65500

	// leastMTU is the smallest that IPv4 hosts must take (RFC 1122, section 3.3.2).
	leastMTU = 576
)

// Options configure a Manager. The zero value is ready to use.
type Options struct {
	// Pool are the IPv4 ranges (/8 to /24) that networks take their /24 from, in order. Empty means
	// DefaultPool.
	Pool []netip.Prefix
	// MTU of all networks, in bytes of IPv4 packet. Zero means DefaultMTU.
	MTU int
	// Nameservers answer what the networks do not know themselves. Empty means those of the host, as
	// they are at the time of each query.
	Nameservers []netip.AddrPort
	// Log takes what goes wrong with single connections. Nil means slog.Default.
	Log *slog.Logger
}

// ErrInUse is returned by Remove for a network that has containers attached.
var ErrInUse = errors.New("network is in use")

// ErrClosed is returned by a Manager after Close, and by a Network that has been removed.
var ErrClosed = errors.New("network is closed")

// Manager owns the networks of one engine. Its methods may be called from any goroutine.
type Manager struct {
	options Options
	// subnets of all networks, replaced and never changed: it is read for every new connection.
	subnets atomic.Pointer[[]netip.Prefix]

	mu       sync.Mutex
	networks map[string]*Network
	closed   bool
}

// NewManager returns a manager without networks. It opens nothing yet.
func NewManager(o Options) (*Manager, error) {
	if len(o.Pool) == 0 {
		o.Pool = DefaultPool()
	}
	if err := checkPool(o.Pool); err != nil {
		return nil, err
	}
	if o.MTU == 0 {
		o.MTU = DefaultMTU
	}
	if o.MTU < leastMTU || o.MTU > DefaultMTU {
		return nil, fmt.Errorf("network MTU %d is not between %d and %d", o.MTU, leastMTU, DefaultMTU)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Manager{options: o, networks: map[string]*Network{}}, nil
}

// Network returns the network with the given name, which is also a part of its containers' names in DNS.
// It is started, on a subnet that nothing on this host uses, if it is not running yet.
func (m *Manager) Network(name string) (*Network, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	if n, ok := m.networks[name]; ok {
		return n, nil
	}
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	taken, err := hostPrefixes()
	if err != nil {
		return nil, fmt.Errorf("network %q: %w", name, err)
	}
	for _, other := range m.networks {
		taken = append(taken, other.subnet)
	}
	subnet, err := chooseSubnet(m.options.Pool, name, taken)
	if err != nil {
		return nil, err
	}
	n, err := startNetwork(name, subnet, m.options, m.inside)
	if err != nil {
		return nil, fmt.Errorf("network %q: %w", name, err)
	}
	m.networks[name] = n
	m.publishSubnets()
	m.options.Log.Info("network started", "network", name, "subnet", subnet.String(), "gateway", n.Gateway(), "host", n.Host())
	return n, nil
}

// Remove ends a network that has no containers. ErrInUse names those that it has; a network that is not
// running is no error.
func (m *Manager) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.networks[name]
	if !ok {
		return nil
	}
	if err := n.closeIfUnused(); err != nil {
		return err
	}
	delete(m.networks, name)
	m.publishSubnets()
	return nil
}

// Close ends all networks with everything in them.
func (m *Manager) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for name, n := range m.networks {
		n.close()
		delete(m.networks, name)
	}
	return nil
}

// inside tells whether an address belongs to one of the networks.
func (m *Manager) inside(a netip.Addr) bool {
	subnets := m.subnets.Load()
	return subnets != nil && slices.ContainsFunc(*subnets, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (m *Manager) publishSubnets() {
	var subnets []netip.Prefix
	for _, n := range m.networks {
		subnets = append(subnets, n.subnet)
	}
	m.subnets.Store(&subnets)
}
