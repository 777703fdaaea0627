package network

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/icmp"
	xipv4 "golang.org/x/net/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	// pingTimeout is how long the answer to an echo request is waited for.
	pingTimeout = 5 * time.Second

	// largestPing is the most data an echo request to the outside may carry.
	largestPing = 8 << 10
)

// handleICMP sees the guests' ICMP packets and carries echo requests ("ping") to the outside. Those for
// the gateway's own addresses are answered by the stack. All others stay without an answer.
func (g *gateway) handleICMP(id stack.TransportEndpointID, packet *stack.PacketBuffer) bool {
	message := header.ICMPv4(packet.TransportHeader().Slice())
	from, to := addrPort(id.RemoteAddress, 0).Addr(), addrPort(id.LocalAddress, 0).Addr()
	// The host address stands for the host's loopback, and answers itself. Any port makes an address a
	// target.
	if to == g.host || message.Type() != header.ICMPv4Echo || len(g.targets(netip.AddrPortFrom(to, 1))) == 0 {
		return true
	}
	data := packet.Data().AsRange().ToSlice()
	ep := g.guest(from)
	if ep == nil || len(data) > largestPing {
		return true
	}
	done, err := ep.flows.start(pingFlow)
	if err != nil {
		return true // lost, as any ping may be
	}
	echo := icmp.Echo{ID: int(message.Ident()), Seq: int(message.Sequence()), Data: data}
	go func() {
		defer done()
		if err := ping(ep.flows.ctx, to, echo); err != nil {
			g.log.Debug("ping of a container not answered", "container", ep.name, "to", to, "error", err)
			return
		}
		g.nic.sw.forward(g.nic.hw, echoReply(ep, g.nic.hw, to, echo))
	}()
	return true
}

// ping sends an echo request and returns nil when its answer has come.
func ping(ctx context.Context, to netip.Addr, echo icmp.Echo) error {
	conn, peer, err := openPing(to)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	conn.SetDeadline(time.Now().Add(pingTimeout))
	request, err := (&icmp.Message{Type: xipv4.ICMPTypeEcho, Body: &echo}).Marshal(nil)
	if err != nil {
		return err
	}
	if _, err := conn.WriteTo(request, peer); err != nil {
		return err
	}
	buf := make([]byte, maxFrame)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return err
		}
		answer, err := icmp.ParseMessage(int(header.ICMPv4ProtocolNumber), buf[:n])
		if err != nil || answer.Type != xipv4.ICMPTypeEchoReply || addressOf(from) != to {
			continue // sockets of both kinds may see other programs' packets
		}
		// Linux puts an identifier of its own into the request: sequence and data must do.
		body, ok := answer.Body.(*icmp.Echo)
		if ok && body.Seq == echo.Seq && bytes.Equal(body.Data, echo.Data) {
			return nil
		}
	}
}

// openPing opens a socket for ICMP and makes the address that it sends to: the kind for everybody, which
// Linux allows to the groups in net.ipv4.ping_group_range (icmp(7)) and macOS to all, or else a raw one.
func openPing(to netip.Addr) (*icmp.PacketConn, net.Addr, error) {
	conn, err := icmp.ListenPacket("udp4", "0.0.0.0")
	if err == nil {
		return conn, &net.UDPAddr{IP: to.AsSlice()}, nil
	}
	if !errors.Is(err, os.ErrPermission) {
		return nil, nil, err
	}
	conn, rawErr := icmp.ListenPacket("ip4:icmp", "0.0.0.0")
	if rawErr != nil {
		return nil, nil, err
	}
	return conn, &net.IPAddr{IP: to.AsSlice()}, nil
}

// addressOf returns the IP address in a socket address of any kind, invalid if there is none.
func addressOf(a net.Addr) netip.Addr {
	var ip net.IP
	switch a := a.(type) {
	case *net.UDPAddr:
		ip = a.IP
	case *net.TCPAddr:
		ip = a.IP
	case *net.IPAddr:
		ip = a.IP
	}
	at, _ := netip.AddrFromSlice(ip)
	return at.Unmap()
}

// echoReply makes the frame that answers a guest's echo request in the name of from.
func echoReply(ep *Endpoint, gateway hwaddr, from netip.Addr, echo icmp.Echo) []byte {
	const headers = ethernetHeader + ipv4MinHeader + header.ICMPv4MinimumSize
	frame := append(make([]byte, headers, headers+len(echo.Data)), echo.Data...)
	header.Ethernet(frame).Encode(&header.EthernetFields{
		SrcAddr: tcpip.LinkAddress(gateway[:]),
		DstAddr: tcpip.LinkAddress(ep.MAC),
		Type:    header.IPv4ProtocolNumber,
	})
	ip := header.IPv4(frame[ethernetHeader:])
	ip.Encode(&header.IPv4Fields{
		TotalLength: uint16(len(ip)),
		TTL:         64,
		Protocol:    uint8(header.ICMPv4ProtocolNumber),
		SrcAddr:     tcpip.AddrFrom4(from.As4()),
		DstAddr:     tcpip.AddrFrom4(ep.ip.As4()),
	})
	ip.SetChecksum(^ip.CalculateChecksum())
	message := header.ICMPv4(frame[ethernetHeader+ipv4MinHeader:])
	message.SetType(header.ICMPv4EchoReply)
	message.SetIdent(uint16(echo.ID))
	message.SetSequence(uint16(echo.Seq))
	message.SetChecksum(^checksum.Checksum(message, 0))
	return frame
}
