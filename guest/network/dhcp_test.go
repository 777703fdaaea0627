//go:build linux

package network

import (
	"net"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

func TestRead(t *testing.T) {
	good := func() *dhcpv4.DHCPv4 {
		return &dhcpv4.DHCPv4{YourIPAddr: net.IPv4(10, 0, 2, 15), Options: dhcpv4.OptionsFromList(
			dhcpv4.OptSubnetMask(net.CIDRMask(24, 32)), dhcpv4.OptRouter(net.IPv4(10, 0, 2, 2)),
			dhcpv4.OptDNS(net.IPv4(10, 0, 2, 3), net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 2, 4)), dhcpv4.OptIPAddressLeaseTime(time.Hour),
			dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{0x05, 0xdc}))}
	}
	want := lease{address: netip.MustParsePrefix("10.0.2.15/24"), gateway: netip.MustParseAddr("10.0.2.2"),
		servers: []netip.Addr{netip.MustParseAddr("10.0.2.3"), netip.MustParseAddr("10.0.2.4")}, mtu: 1500, time: time.Hour}
	if got, err := read(good()); err != nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for name, change := range map[string]func(*dhcpv4.DHCPv4){
		"no address":          func(m *dhcpv4.DHCPv4) { m.YourIPAddr = nil },
		"any address":         func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4zero },
		"loopback":            func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4(127, 0, 0, 2) },
		"multicast":           func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4(224, 0, 0, 1) },
		"reserved":            func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4bcast },
		"no mask":             func(m *dhcpv4.DHCPv4) { m.Options.Del(dhcpv4.OptionSubnetMask) },
		"mask with a hole":    func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptSubnetMask(net.IPMask{255, 0, 255, 0})) },
		"mask of all":         func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(0, 32))) },
		"gateway elsewhere":   func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptRouter(net.IPv4(10, 0, 3, 2))) },
		"gateway is loopback": func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptRouter(net.IPv4(127, 0, 0, 1))) },
	} {
		m := good()
		change(m)
		if got, err := read(m); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for name, test := range map[string]struct {
		option dhcpv4.Option
		want   func(*lease)
	}{
		"a second":        {dhcpv4.OptIPAddressLeaseTime(time.Second), func(l *lease) { l.time = shortestLease }},
		"for ever":        {dhcpv4.OptIPAddressLeaseTime((1<<32 - 1) * time.Second), func(l *lease) { l.time = longestLease }},
		"a tiny MTU":      {dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{0, 68}), func(l *lease) { l.mtu = 0 }},
		"half an MTU":     {dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{5}), func(l *lease) { l.mtu = 0 }},
		"no name servers": {dhcpv4.OptGeneric(dhcpv4.OptionDomainNameServer, nil), func(l *lease) { l.servers = nil }},
	} {
		m := good()
		m.UpdateOption(test.option)
		w := want
		test.want(&w)
		if got, err := read(m); err != nil || !reflect.DeepEqual(*got, w) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, w)
		}
	}
}
