package network

import (
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routePrefixes lists the destinations of the host's IPv4 routes in all its tables (rtnetlink(7)): VPN
// clients keep theirs in tables of their own.
func routePrefixes() ([]netip.Prefix, error) {
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4,
		&netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, err
	}
	var prefixes []netip.Prefix
	for _, r := range routes {
		if r.Dst == nil {
			continue // the default route
		}
		if p, err := netip.ParsePrefix(r.Dst.String()); err == nil {
			prefixes = append(prefixes, p.Masked())
		}
	}
	return prefixes, nil
}
