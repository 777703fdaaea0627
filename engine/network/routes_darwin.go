package network

import (
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/net/route"
)

// routePrefixes lists the destinations of the host's IPv4 routes (route(4)).
func routePrefixes() ([]netip.Prefix, error) {
	rib, err := route.FetchRIB(syscall.AF_INET, route.RIBTypeRoute, 0)
	if err != nil {
		return nil, err
	}
	messages, err := route.ParseRIB(route.RIBTypeRoute, rib)
	if err != nil {
		return nil, err
	}
	var prefixes []netip.Prefix
	for _, m := range messages {
		if r, ok := m.(*route.RouteMessage); ok {
			if p, ok := routePrefix(r); ok {
				prefixes = append(prefixes, p)
			}
		}
	}
	return prefixes, nil
}

// routePrefix reads destination and netmask; a route without a netmask is for one host.
func routePrefix(r *route.RouteMessage) (netip.Prefix, bool) {
	if len(r.Addrs) <= syscall.RTAX_NETMASK {
		return netip.Prefix{}, false
	}
	dst, ok := r.Addrs[syscall.RTAX_DST].(*route.Inet4Addr)
	if !ok {
		return netip.Prefix{}, false
	}
	bits := 32
	if mask, ok := r.Addrs[syscall.RTAX_NETMASK].(*route.Inet4Addr); ok {
		bits, _ = net.IPMask(mask.IP[:]).Size()
	}
	return netip.PrefixFrom(netip.AddrFrom4(dst.IP), bits).Masked(), true
}
