//go:build linux

// Package network gives the machine its addresses: those that the host has chosen,
// or on a network of the hypervisor's, what DHCP says. There is no
// autoconfiguration.
package network

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
)

// Configure brings up the loopback interface and those asked for, and returns those
// that DHCP was asked about, with what it said. When it says something else later,
// changed is called.
func Configure(interfaces []*api.Interface, changed func(*api.Interface)) (leased []*api.Interface, err error) {
	if err := up("lo", 0); err != nil {
		return nil, err
	}
	for _, i := range interfaces {
		link, err := configure(i)
		if err == nil && i.Dhcp {
			var l *api.Interface
			l, err = byDHCP(link, changed)
			leased = append(leased, l)
		}
		if err != nil {
			return nil, fmt.Errorf("interface %s: %w", i.Name, err)
		}
	}
	return leased, nil
}

func configure(i *api.Interface) (netlink.Link, error) {
	// Before it comes up: no address but those given.
	for _, setting := range []string{"accept_ra", "autoconf"} {
		path := "/proc/sys/net/ipv6/conf/" + i.Name + "/" + setting
		if err := os.WriteFile(path, []byte("0"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	if err := up(i.Name, int(i.Mtu)); err != nil {
		return nil, err
	}
	link, err := netlink.LinkByName(i.Name)
	if err != nil {
		return nil, err
	}
	var subnets []*net.IPNet
	for _, text := range i.Addresses {
		address, err := netlink.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("address %q: %w", text, err)
		}
		if address.IP.To4() == nil {
			address.Flags = unix.IFA_F_NODAD // nobody else can have it: usable at once
		}
		if err := netlink.AddrAdd(link, address); err != nil && !errors.Is(err, unix.EEXIST) {
			return nil, fmt.Errorf("add address %s: %w", text, err)
		}
		subnets = append(subnets, address.IPNet)
	}
	for _, text := range i.Gateways {
		if err := routeBy(link, text, subnets); err != nil {
			return nil, fmt.Errorf("default route by %s: %w", text, err)
		}
	}
	return link, nil
}

// routeBy makes a gateway the default route of its family. One that is in none
// of the subnets needs a route of its own first, straight to the link.
func routeBy(link netlink.Link, text string, subnets []*net.IPNet) error {
	gateway := net.ParseIP(text)
	if gateway == nil {
		return errors.New("it is not an address")
	}
	index := link.Attrs().Index
	if !slices.ContainsFunc(subnets, func(n *net.IPNet) bool { return n.Contains(gateway) }) {
		bits := 8 * len(gateway)
		if v4 := gateway.To4(); v4 != nil {
			gateway, bits = v4, 8*len(v4)
		}
		alone := &net.IPNet{IP: gateway, Mask: net.CIDRMask(bits, bits)}
		if err := netlink.RouteAdd(&netlink.Route{LinkIndex: index, Dst: alone, Scope: netlink.SCOPE_LINK}); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("route to itself: %w", err)
		}
	}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: index, Gw: gateway}); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

func up(name string, mtu int) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	if mtu > 0 {
		if err := netlink.LinkSetMTU(link, mtu); err != nil {
			return fmt.Errorf("interface %s: set MTU %d: %w", name, mtu, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("interface %s: bring up: %w", name, err)
	}
	return nil
}
