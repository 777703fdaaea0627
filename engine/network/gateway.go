package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

const (
	// gatewayNIC is the stack's only network card.
	gatewayNIC = 1

	// A TCP connection through the stack buffers at most this much in each direction, in this process.
	tcpDefaultBuffer = 256 << 10
	tcpLargestBuffer = 1 << 20
	tcpLeastBuffer   = 4 << 10

	// timeWait is how long the stack remembers a connection that it closed first. Frames do not linger
	// in this network; the usual minute would keep tens of thousands of busy clients' connections.
	timeWait = 2 * time.Second

	// handshakesAtOnce bounds the SYNs that are being worked on in one network; each guest has its own
	// limit below this one (flowLimits).
	handshakesAtOnce = 8192
)

// gateway is a network's router: a TCP/IP stack that takes part in the network under two addresses,
// accepts the guests' connections to the rest of the world and carries them over the host's sockets.
type gateway struct {
	log     *slog.Logger
	stack   *stack.Stack
	nic     *nic
	address netip.Addr                 // the gateway's own: router and name server
	host    netip.Addr                 // stands for the host's loopback
	inside  func(netip.Addr) bool      // whether an address belongs to any network of the engine
	guest   func(netip.Addr) *Endpoint // the guest with an address of this network, or nil

	udp *udp.Forwarder
}

// start plugs the gateway into sw. The caller sets the fields above udp, except stack and nic.
func (g *gateway) start(sw *ethernetSwitch, mtu int) error {
	g.nic = &nic{sw: sw, hw: hwaddrFor(g.address), mtu: uint32(mtu), answers: g.answersARP}
	g.stack = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4},
	})
	if err := errors.Join(g.tuneTCP(), g.configure()); err != nil {
		g.close()
		return err
	}
	g.udp = udp.NewForwarder(g.stack, g.acceptUDP)
	g.stack.SetTransportProtocolHandler(tcp.ProtocolNumber,
		tcp.NewForwarder(g.stack, tcpDefaultBuffer, handshakesAtOnce, g.acceptTCP).HandlePacket)
	g.stack.SetTransportProtocolHandler(udp.ProtocolNumber, g.handleUDP)
	g.stack.SetTransportProtocolHandler(icmp.ProtocolNumber4, g.handleICMP)
	if err := sw.plug(g.nic.hw, g.nic); err != nil {
		g.close()
		return err
	}
	return nil
}

func (g *gateway) tuneTCP() error {
	sack := tcpip.TCPSACKEnabled(true)
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	// With RACK the stack retransmits needlessly and shrinks its window: github.com/tailscale/tailscale/issues/9707.
	recovery := tcpip.TCPRecovery(0)
	congestion := tcpip.CongestionControlOption("cubic")
	remember := tcpip.TCPTimeWaitTimeoutOption(timeWait)
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: tcpLeastBuffer, Default: tcpDefaultBuffer, Max: tcpLargestBuffer}
	send := tcpip.TCPSendBufferSizeRangeOption{Min: tcpLeastBuffer, Default: tcpDefaultBuffer, Max: tcpLargestBuffer}
	for _, option := range []tcpip.SettableTransportProtocolOption{&sack, &moderate, &recovery, &congestion, &remember, &receive, &send} {
		if err := g.stack.SetTransportProtocolOption(tcp.ProtocolNumber, option); err != nil {
			return fmt.Errorf("gateway: set TCP option %T: %s", option, err)
		}
	}
	return nil
}

func (g *gateway) configure() error {
	if err := g.stack.CreateNIC(gatewayNIC, g.nic); err != nil {
		return fmt.Errorf("gateway: create its network card: %s", err)
	}
	for _, a := range []netip.Addr{g.address, g.host} {
		address := tcpip.ProtocolAddress{
			Protocol:          ipv4.ProtocolNumber,
			AddressWithPrefix: tcpip.AddressWithPrefix{Address: tcpip.AddrFrom4(a.As4()), PrefixLen: subnetBits},
		}
		if err := g.stack.AddProtocolAddress(gatewayNIC, address, stack.AddressProperties{}); err != nil {
			return fmt.Errorf("gateway: add its address %s: %s", a, err)
		}
	}
	g.stack.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: gatewayNIC}})
	// Accept packets for every address, and answer from every address.
	if err := g.stack.SetPromiscuousMode(gatewayNIC, true); err != nil {
		return fmt.Errorf("gateway: accept all addresses: %s", err)
	}
	if err := g.stack.SetSpoofing(gatewayNIC, true); err != nil {
		return fmt.Errorf("gateway: answer from all addresses: %s", err)
	}
	return nil
}

// close ends all connections of the stack. Frames that still arrive are ignored.
func (g *gateway) close() {
	g.nic.sw.unplug(g.nic.hw)
	g.stack.Close()
	g.stack.RemoveNIC(gatewayNIC)
}

func (g *gateway) answersARP(arp []byte) bool {
	if len(arp) < arpPacket {
		return false
	}
	target := arpTarget(arp)
	return target == g.address || target == g.host
}

// know tells the stack the hardware address of a guest, which it then never has to ask for.
func (g *gateway) know(at netip.Addr, hw hwaddr) error {
	err := g.stack.AddStaticNeighbor(gatewayNIC, ipv4.ProtocolNumber, tcpip.AddrFrom4(at.As4()), tcpip.LinkAddress(hw[:]))
	if err != nil {
		return fmt.Errorf("gateway: add neighbour %s: %s", at, err)
	}
	return nil
}

// forget undoes know.
func (g *gateway) forget(at netip.Addr) {
	g.stack.RemoveNeighbor(gatewayNIC, ipv4.ProtocolNumber, tcpip.AddrFrom4(at.As4()))
}

// dial connects to a guest, and ends the connection when the guest leaves.
func (g *gateway) dial(ctx context.Context, ep *Endpoint, port uint16) (net.Conn, error) {
	done, err := ep.flows.start(hostConn)
	if err != nil {
		return nil, err
	}
	conn, err := gonet.DialTCPWithBind(ctx, g.stack, fullAddress(g.address, 0), fullAddress(ep.ip, port), ipv4.ProtocolNumber)
	if err != nil {
		done()
		return nil, err
	}
	end := sync.OnceFunc(func() {
		conn.Close()
		done()
	})
	return &dialledConn{TCPConn: conn, end: end, stay: context.AfterFunc(ep.flows.ctx, end)}, nil
}

// dialledConn is a connection from the host to a guest.
type dialledConn struct {
	*gonet.TCPConn
	end  func()      // closes it, once
	stay func() bool // keeps the guest's leaving from closing it
}

func (c *dialledConn) Close() error {
	c.stay()
	c.end()
	return nil
}

func fullAddress(a netip.Addr, port uint16) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: gatewayNIC, Addr: tcpip.AddrFrom4(a.As4()), Port: port}
}

func addrPort(a tcpip.Address, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(a.As4()), port)
}
