//go:build linux

// Package network gives the machine its addresses, which the host has chosen:
// there is no DHCP and no autoconfiguration.
package network

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
)

// Configure brings up the loopback interface and those asked for.
func Configure(interfaces []*api.Interface) error {
	if err := up("lo", 0); err != nil {
		return err
	}
	for _, i := range interfaces {
		if err := configure(i); err != nil {
			return fmt.Errorf("interface %s: %w", i.Name, err)
		}
	}
	return nil
}

func configure(i *api.Interface) error {
	// Before it comes up: no address but those given.
	for _, setting := range []string{"accept_ra", "autoconf"} {
		path := "/proc/sys/net/ipv6/conf/" + i.Name + "/" + setting
		if err := os.WriteFile(path, []byte("0"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := up(i.Name, int(i.Mtu)); err != nil {
		return err
	}
	link, err := netlink.LinkByName(i.Name)
	if err != nil {
		return err
	}
	onLink := false
	gateway := net.ParseIP(i.Gateway)
	for _, text := range i.Addresses {
		address, err := netlink.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("address %q: %w", text, err)
		}
		if address.IP.To4() == nil {
			address.Flags = unix.IFA_F_NODAD // nobody else can have it: usable at once
		}
		if err := netlink.AddrAdd(link, address); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add address %s: %w", text, err)
		}
		onLink = onLink || (gateway != nil && address.Contains(gateway))
	}
	if i.Gateway == "" {
		return nil
	}
	if gateway == nil {
		return fmt.Errorf("gateway %q is not an address", i.Gateway)
	}
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway}
	if !onLink {
		route.Flags = int(netlink.FLAG_ONLINK)
	}
	if err := netlink.RouteAdd(route); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add default route by %s: %w", i.Gateway, err)
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
