package network

import (
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// subnetBits is the size of a network: 251 containers, the gateway and the host.
const subnetBits = 24

// widestRoute is the shortest prefix length for which a route of the host says that somebody is really
// there. Shorter ones are default routes in disguise: VPN clients install 0.0.0.0/1 and 128.0.0.0/1.
const widestRoute = 8

// DefaultPool returns the ranges that networks take their /24 from, first choice first. They are private
// (RFC 1918) and away from the ranges that home routers (192.168.0.0 to 192.168.2.0), Docker
// (172.17.0.0/16 and up), podman (10.88.0.0/16), Kubernetes (10.96.0.0/12, 10.244.0.0/16) and macOS's own
// shared networks (192.168.64.0/20) use.
func DefaultPool() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("10.201.0.0/16"),
		netip.MustParsePrefix("172.30.0.0/16"),
		netip.MustParsePrefix("192.168.192.0/19"),
	}
}

// hostPrefixes lists the IPv4 prefixes that the host reaches through its interfaces and routes.
func hostPrefixes() ([]netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the host's interface addresses: %w", err)
	}
	prefixes, err := routePrefixes()
	if err != nil {
		return nil, fmt.Errorf("list the host's routes: %w", err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			prefixes = append(prefixes, p.Masked())
		}
	}
	return slices.DeleteFunc(prefixes, func(p netip.Prefix) bool { return p.Bits() < widestRoute }), nil
}

// chooseSubnet picks a /24 of the pool that overlaps none of the prefixes in taken. The search in a
// range starts at a place given by the network's name, so that a network finds the same subnet again
// after a restart without a record of it.
func chooseSubnet(pool []netip.Prefix, name string, taken []netip.Prefix) (netip.Prefix, error) {
	hash := fnv.New32a()
	hash.Write([]byte(name))
	for _, within := range pool {
		count := 1 << (subnetBits - within.Bits())
		start := int(hash.Sum32() % uint32(count))
		for i := range count {
			candidate := subnetOf(within, (start+i)%count)
			if !slices.ContainsFunc(taken, candidate.Overlaps) {
				return candidate, nil
			}
		}
	}
	return netip.Prefix{}, fmt.Errorf("no free /%d in %s for network %q: each one overlaps a network or a route of this host; configure another pool",
		subnetBits, prefixList(pool), name)
}

// subnetOf returns the n-th /24 of an IPv4 prefix.
func subnetOf(within netip.Prefix, n int) netip.Prefix {
	b := within.Masked().Addr().As4()
	b[1] += byte(n >> 8)
	b[2] += byte(n)
	return netip.PrefixFrom(netip.AddrFrom4(b), subnetBits)
}

// checkPool refuses ranges that chooseSubnet cannot cut /24s from.
func checkPool(pool []netip.Prefix) error {
	for _, p := range pool {
		if !p.IsValid() || !p.Addr().Is4() || p.Bits() < widestRoute || p.Bits() > subnetBits {
			return fmt.Errorf("network pool: %s is not an IPv4 range between /%d and /%d", p, widestRoute, subnetBits)
		}
	}
	return nil
}

func prefixList(prefixes []netip.Prefix) string {
	var s []string
	for _, p := range prefixes {
		s = append(s, p.String())
	}
	return strings.Join(s, ", ")
}
