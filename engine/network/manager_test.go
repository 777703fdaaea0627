package network

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestNetworksHaveTheirOwnFreeSubnets(t *testing.T) {
	m := testManager(t, Options{})
	host, err := hostPrefixes()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[netip.Prefix]bool{}
	for _, name := range []string{"a", "b", "c"} {
		n, err := m.Network(name)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := m.Network(name); again != n || err != nil {
			t.Errorf("network %s is another one the second time: %v", name, err)
		}
		if seen[n.Subnet()] || n.Subnet().Bits() != subnetBits {
			t.Errorf("network %s got %s", name, n.Subnet())
		}
		seen[n.Subnet()] = true
		for _, p := range host {
			if p.Overlaps(n.Subnet()) {
				t.Errorf("%s overlaps the host's %s", n.Subnet(), p)
			}
		}
		if !m.inside(n.Gateway()) || m.inside(netip.MustParseAddr("192.0.2.77")) {
			t.Error("the manager does not know its own addresses")
		}
	}
}

func TestHostPrefixesKnowTheInterfaces(t *testing.T) {
	host, err := hostPrefixes()
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || !p.Addr().Is4() {
			continue
		}
		if _, err := chooseSubnet([]netip.Prefix{netip.PrefixFrom(p.Addr(), subnetBits)}, "x", host); err == nil {
			t.Errorf("the subnet of the host's own address %s counts as free", p)
		}
	}
}

func TestChooseSubnet(t *testing.T) {
	prefixes := func(list string) (all []netip.Prefix) {
		for s := range strings.FieldsSeq(list) {
			all = append(all, netip.MustParsePrefix(s))
		}
		return all
	}
	for _, test := range []struct {
		name, pool, taken, want string // want is "" for an error
	}{
		{"one left", "10.9.8.0/22", "10.9.8.0/23 10.9.11.0/24", "10.9.10.0/24"},
		{"a host in it", "10.9.8.0/23", "10.9.8.7/32", "10.9.9.0/24"},
		{"next range", "10.9.0.0/16 172.30.1.0/24", "10.0.0.0/8", "172.30.1.0/24"},
		{"none left", "10.9.0.0/16", "10.8.0.0/15", ""},
	} {
		got, err := chooseSubnet(prefixes(test.pool), test.name, prefixes(test.taken))
		if test.want == "" {
			if err == nil || !strings.Contains(err.Error(), test.pool) {
				t.Errorf("%s: got %s, %v, want an error that names the pool", test.name, got, err)
			}
			continue
		}
		if err != nil || got.String() != test.want {
			t.Errorf("%s: got %s, %v, want %s", test.name, got, err, test.want)
		}
	}
	wide := prefixes("10.0.0.0/8")
	first, _ := chooseSubnet(wide, "shop", nil)
	again, _ := chooseSubnet(wide, "shop", prefixes("192.168.0.0/16"))
	if first != again {
		t.Errorf("the same name got %s and then %s", first, again)
	}
	if !wide[0].Overlaps(first) {
		t.Errorf("%s is not in %s", first, wide[0])
	}
}

func TestManagerOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"IPv6 pool":    {Pool: []netip.Prefix{netip.MustParsePrefix("fd00::/64")}},
		"narrow pool":  {Pool: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/25")}},
		"invalid pool": {Pool: []netip.Prefix{{}}},
		"tiny MTU":     {MTU: 100},
		"huge MTU":     {MTU: 70000},
	} {
		if _, err := NewManager(o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestRemove(t *testing.T) {
	m := testManager(t, Options{})
	n, err := m.Network("shop")
	if err != nil {
		t.Fatal(err)
	}
	ep := attach(t, n, "web")
	if err := m.Remove("shop"); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "web") {
		t.Errorf("a network in use: %v", err)
	}
	ep.Close()
	if err := m.Remove("shop"); err != nil {
		t.Error(err)
	}
	if _, err := n.Attach(t.Context(), EndpointOptions{Name: "late"}); !errors.Is(err, ErrClosed) {
		t.Errorf("attach to a removed network: %v", err)
	}
	if err := m.Remove("shop"); err != nil {
		t.Errorf("removing twice: %v", err)
	}
	m.Close()
	if _, err := m.Network("shop"); !errors.Is(err, ErrClosed) {
		t.Errorf("network of a closed manager: %v", err)
	}
}

func TestAttach(t *testing.T) {
	n := testNetwork(t, Options{MTU: 1500})
	ep := attach(t, n, "web")
	if ep.Address.Bits() != subnetBits || !n.Subnet().Contains(ep.Address.Addr()) || ep.Gateway != n.Gateway() || ep.DNS != n.Gateway() || ep.MTU != 1500 {
		t.Errorf("endpoint %+v on %s", ep, n.Subnet())
	}
	for name, o := range map[string]EndpointOptions{
		"no name":          {},
		"bad alias":        {Name: "db", Aliases: []string{"a b"}},
		"reserved alias":   {Name: "db", Aliases: []string{"host.docker.internal"}},
		"taken address":    {Name: "db", Address: ep.Address.Addr()},
		"gateway address":  {Name: "db", Address: n.Gateway()},
		"host address":     {Name: "db", Address: n.Host()},
		"foreign address":  {Name: "db", Address: netip.MustParseAddr("192.0.2.1")},
		"no IPv4 address":  {Name: "db", Address: netip.IPv6Loopback()},
		"network address":  {Name: "db", Address: n.Subnet().Addr()},
		"last of the host": {Name: "db", Address: n.Host().Next()},
	} {
		if _, err := n.Attach(t.Context(), o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	want := n.Host().Prev()
	fixed, err := n.Attach(t.Context(), EndpointOptions{Name: "db", Address: want})
	if err != nil {
		t.Fatal(err)
	}
	defer fixed.File.Close()
	defer fixed.Close()
	if fixed.Address.Addr() != want {
		t.Errorf("asked for %s, got %s", want, fixed.Address)
	}
}

func TestAddressesRotateAndRunOut(t *testing.T) {
	a := newAddresses(netip.MustParsePrefix("10.0.0.0/24"))
	const count = 252 // .2 to .253
	var order []netip.Addr
	for range count {
		at, err := a.take(netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, at)
	}
	if order[0].String() != "10.0.0.2" || order[count-1].String() != "10.0.0.253" {
		t.Errorf("addresses from %s to %s", order[0], order[count-1])
	}
	if _, err := a.take(netip.Addr{}); !errors.Is(err, ErrNoAddress) {
		t.Errorf("one too many: %v", err)
	}
	a.release(order[9])
	a.release(order[4])
	for _, want := range []netip.Addr{order[4], order[9]} {
		if at, err := a.take(netip.Addr{}); at != want || err != nil {
			t.Errorf("got %s, %v, want %s", at, err, want)
		}
	}
	b := newAddresses(netip.MustParsePrefix("10.0.0.0/24"))
	first, _ := b.take(netip.Addr{})
	b.release(first)
	if second, _ := b.take(netip.Addr{}); second == first {
		t.Errorf("%s was handed out again at once", first)
	}
}
