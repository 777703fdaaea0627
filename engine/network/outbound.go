package network

import (
	"net/netip"
)

var (
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")   // RFC 1122, section 3.2.1.3
	reserved    = netip.MustParsePrefix("240.0.0.0/4") // RFC 1112, section 4; includes the broadcast address
	loopbacks   = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
)

// targets returns where a guest's packets to dst really go, in the order to try; none if the guest may
// not reach dst. The host's loopback is reached through the network's host address only. Refused are the
// gateway itself, all addresses of the engine's networks (a guest's neighbours are reached without the
// gateway, other networks not at all), and link-local addresses: 169.254.169.254 hands out the
// credentials of a cloud machine.
func (g *gateway) targets(dst netip.AddrPort) []netip.AddrPort {
	at := dst.Addr()
	switch {
	case dst.Port() == 0:
		return nil
	case at == g.host:
		var local []netip.AddrPort
		for _, a := range loopbacks {
			local = append(local, netip.AddrPortFrom(a, dst.Port()))
		}
		return local
	case g.inside(at), at.IsLoopback(), at.IsMulticast(), at.IsLinkLocalUnicast(),
		thisNetwork.Contains(at), reserved.Contains(at):
		return nil
	}
	return []netip.AddrPort{dst}
}
