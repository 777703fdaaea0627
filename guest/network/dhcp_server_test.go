//go:build linux

package network

import (
	"context"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestRenew gets an address from a server on the other end of a wire, has it
// renewed, and is given another when the server has changed its mind.
func TestRenew(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a network namespace needs root")
	}
	done := make(chan struct{})
	go func() { // the thread, and with it the namespace, ends here
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		renew(t)
	}()
	<-done
}

func renew(t *testing.T) {
	client := wire(t)
	if client == nil {
		return
	}
	var given atomic.Value
	server, err := server4.NewServer("far", nil, func(conn net.PacketConn, peer net.Addr, m *dhcpv4.DHCPv4) {
		address := given.Load().(net.IP)
		kind := map[dhcpv4.MessageType]dhcpv4.MessageType{dhcpv4.MessageTypeDiscover: dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeRequest: dhcpv4.MessageTypeAck}[m.MessageType()]
		if want := m.RequestedIPAddress(); m.MessageType() == dhcpv4.MessageTypeRequest && !want.Equal(address) && !m.ClientIPAddr.Equal(address) {
			kind = dhcpv4.MessageTypeNak
		}
		answer, err := dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(address), dhcpv4.WithServerIP(net.IPv4(10, 9, 0, 1)),
			dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 9, 0, 1))), dhcpv4.WithNetmask(net.CIDRMask(24, 32)),
			dhcpv4.WithRouter(net.IPv4(10, 9, 0, 1)), dhcpv4.WithDNS(net.IPv4(10, 9, 0, 1)), dhcpv4.WithLeaseTime(3600))
		if err == nil {
			_, err = conn.WriteTo(answer.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ClientPort})
		}
		if err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Error(err)
		return
	}
	go server.Serve()
	defer server.Close()

	var old *lease
	for _, step := range []struct {
		address string
		renew   bool // the one that there is
		refused bool
	}{
		{"10.9.0.2", false, false},
		{"10.9.0.2", true, false},
		{"10.9.0.3", true, true}, // a NAK
		{"10.9.0.3", false, false},
	} {
		given.Store(net.ParseIP(step.address).To4())
		ctx, cancel := context.WithTimeout(t.Context(), dhcpTimeout)
		from := old
		if !step.renew {
			from = nil
		}
		l, err := request(ctx, "near", from)
		cancel()
		if step.refused {
			if err == nil {
				t.Errorf("%+v: got %s", step, l.address)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", step, err)
			return
		}
		if err := use(client, l, old); err != nil {
			t.Errorf("%+v: %v", step, err)
		}
		old = l
		wantAddress(t, client, step.address+"/24")
	}
	if want := []netip.Addr{netip.MustParseAddr("10.9.0.1")}; old.time != time.Hour || old.gateway != want[0] || len(old.servers) != 1 || old.servers[0] != want[0] {
		t.Errorf("the lease is %+v", old)
	}
}

// wire makes two interfaces that are each other's far end, up, and returns the
// near one.
func wire(t *testing.T) netlink.Link {
	t.Helper()
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "near"}, PeerName: "far"}); err != nil {
		t.Error(err)
		return nil
	}
	for _, name := range []string{"far", "near"} {
		link, err := netlink.LinkByName(name)
		if err == nil && name == "far" {
			err = netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 9, 0, 1), Mask: net.CIDRMask(24, 32)}})
		}
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			t.Error(err)
			return nil
		}
		if name == "near" {
			return link
		}
	}
	return nil
}

// wantAddress wants an interface to have one address, and a default route by it.
func wantAddress(t *testing.T, link netlink.Link, want string) {
	t.Helper()
	addresses, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil || len(addresses) != 1 || addresses[0].IPNet.String() != want {
		t.Errorf("the addresses are %v, %v; want %s", addresses, err, want)
	}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Dst: nil}, netlink.RT_FILTER_DST)
	if err != nil || len(routes) != 1 || routes[0].Src.String()+"/24" != want {
		t.Errorf("the default routes are %v, %v", routes, err)
	}
}
