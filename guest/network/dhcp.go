//go:build linux

package network

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
)

const (
	// dhcpTimeout is how long servers have to give a lease.
	dhcpTimeout = 20 * time.Second
	// dhcpPatience is how long one message waits for its answer.
	dhcpPatience = time.Second
	// shortestLease and longestLease bound what a server may say: it is not to keep
	// the machine busy, and times are not to overflow.
	shortestLease, longestLease = 2 * time.Minute, 365 * 24 * time.Hour
	// dhcpPause is between two tries when no server answers.
	dhcpPause = 30 * time.Second
	// maxServers is how many name servers are taken, as many as a C library asks.
	maxServers = 3
)

// lease is what a DHCP server has given (RFC 2131).
type lease struct {
	address netip.Prefix
	gateway netip.Addr // invalid: none
	servers []netip.Addr
	mtu     int // 0: not said
	time    time.Duration
	from    *nclient4.Lease
}

// byDHCP gets an address for an interface that is up, and keeps it for as long as
// the machine runs. It returns what it has got, and calls changed when that is
// something else later.
func byDHCP(link netlink.Link, changed func(*api.Interface)) (*api.Interface, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dhcpTimeout)
	defer cancel()
	l, err := request(ctx, link.Attrs().Name, nil)
	if err != nil {
		return nil, fmt.Errorf("no address by DHCP: %w", err)
	}
	if err := use(link, l, nil); err != nil {
		return nil, err
	}
	go keep(link, l, changed)
	return l.of(link), nil
}

// of is the lease as the host is told of it.
func (l *lease) of(link netlink.Link) *api.Interface {
	i := &api.Interface{Name: link.Attrs().Name, Addresses: []string{l.address.String()}}
	if l.gateway.IsValid() {
		i.Gateways = []string{l.gateway.String()}
	}
	for _, s := range l.servers {
		i.Nameservers = append(i.Nameservers, s.String())
	}
	return i
}

// request asks for a lease, or for old to be renewed. No socket is left open
// between.
func request(ctx context.Context, name string, old *lease) (*lease, error) {
	c, err := nclient4.New(name, nclient4.WithTimeout(dhcpPatience))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var from *nclient4.Lease
	if old != nil {
		from, err = c.Renew(ctx, old.from)
	} else {
		from, err = c.Request(ctx)
	}
	if err != nil {
		return nil, err
	}
	l, err := read(from.ACK)
	if err != nil {
		return nil, fmt.Errorf("the server's answer: %w", err)
	}
	l.from = from
	return l, nil
}

// read checks what a server says, which may be anything.
func read(ack *dhcpv4.DHCPv4) (*lease, error) {
	ip, ok := unicast(ack.YourIPAddr)
	if !ok {
		return nil, fmt.Errorf("%v is no address for a machine", ack.YourIPAddr)
	}
	ones, bits := ack.SubnetMask().Size()
	if bits != 32 || ones < 8 || ones > 30 {
		return nil, fmt.Errorf("%v is no subnet's mask", ack.SubnetMask())
	}
	l := &lease{address: netip.PrefixFrom(ip, ones), time: min(max(ack.IPAddressLeaseTime(shortestLease), shortestLease), longestLease)}
	if routers := ack.Router(); len(routers) > 0 {
		if l.gateway, ok = unicast(routers[0]); !ok || !l.address.Contains(l.gateway) {
			return nil, fmt.Errorf("%v is no gateway in %v", routers[0], l.address.Masked())
		}
	}
	for _, s := range ack.DNS() {
		if server, ok := unicast(s); ok && len(l.servers) < maxServers {
			l.servers = append(l.servers, server)
		}
	}
	// RFC 2132, section 5.1. What no IPv4 network has is not taken.
	const least, most = 576, 65535
	if mtu, err := dhcpv4.GetUint16(dhcpv4.OptionInterfaceMTU, ack.Options); err == nil && mtu >= least && int(mtu) <= most {
		l.mtu = int(mtu)
	}
	return l, nil
}

// unicast returns an IPv4 address that one machine can have.
func unicast(ip net.IP) (netip.Addr, bool) {
	a, ok := netip.AddrFromSlice(ip.To4())
	if !ok || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.As4()[0] >= 240 {
		return netip.Addr{}, false
	}
	return a, true
}

// use gives the interface what was leased in place of old, unless that is nil.
func use(link netlink.Link, l, old *lease) error {
	if l.mtu > 0 {
		if err := netlink.LinkSetMTU(link, l.mtu); err != nil {
			return fmt.Errorf("set MTU %d: %w", l.mtu, err)
		}
	}
	// First, because with it go the subnet's other addresses.
	if old != nil && old.address != l.address {
		if err := netlink.AddrDel(link, &netlink.Addr{IPNet: network(old.address)}); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("give up address %s: %w", old.address, err)
		}
	}
	if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: network(l.address)}); err != nil {
		return fmt.Errorf("add address %s: %w", l.address, err)
	}
	if l.gateway.IsValid() {
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.IP(l.gateway.AsSlice()), Src: net.IP(l.address.Addr().AsSlice())}
		if err := netlink.RouteReplace(route); err != nil {
			return fmt.Errorf("default route by %s: %w", l.gateway, err)
		}
	}
	return nil
}

func network(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: net.IP(p.Addr().AsSlice()), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// keep renews a lease at half of its time (RFC 2131, section 4.4.5). When nobody
// renews it a new one is asked for; until there is one the old address stays, which
// is more use than none.
func keep(link netlink.Link, l *lease, changed func(*api.Interface)) {
	name := link.Attrs().Name
	wait := l.time / 2
	for {
		time.Sleep(wait)
		next, err := again(name, l)
		if err == nil {
			err = use(link, next, l)
		}
		if err != nil {
			log.Printf("interface %s: renew %s by DHCP: %v", name, l.address, err)
			wait = dhcpPause
			continue
		}
		if next.address != l.address {
			log.Printf("interface %s: its address is now %s and was %s", name, next.address, l.address)
			changed(next.of(link))
		}
		l, wait = next, next.time/2
	}
}

func again(name string, l *lease) (*lease, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dhcpTimeout)
	defer cancel()
	if next, err := request(ctx, name, l); err == nil {
		return next, nil
	}
	return request(ctx, name, nil)
}
