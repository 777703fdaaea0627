package network

import (
	"context"
	"net"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	// udpIdle is how long a UDP conversation may be silent: the least that RFC 4787 (REQ-5) allows.
	udpIdle = 2 * time.Minute

	// udpIdleNames is the same for DNS, where a program uses a new port for each question.
	udpIdleNames = 15 * time.Second

	// largestDatagram is more than the data of any UDP packet.
	largestDatagram = 64 << 10

	dnsPort = 53
)

// handleUDP sees every UDP packet of a guest that belongs to no conversation yet. False makes the stack
// answer "port unreachable".
func (g *gateway) handleUDP(id stack.TransportEndpointID, packet *stack.PacketBuffer) bool {
	to := addrPort(id.LocalAddress, id.LocalPort)
	if to.Addr().IsMulticast() || reserved.Contains(to.Addr()) || packet.NetworkPacketInfo.LocalAddressBroadcast {
		return true // for the neighbours; no errors about group addresses (RFC 1122, section 3.2.2)
	}
	if len(g.targets(to)) == 0 {
		return false
	}
	return g.udp.HandlePacket(id, packet)
}

// acceptUDP starts a conversation of a guest with the outside. It runs in the goroutine that reads the
// guest's frames, and does not block: connecting a UDP socket to an address only records it.
func (g *gateway) acceptUDP(r *udp.ForwarderRequest) {
	id := r.ID()
	from, to := addrPort(id.RemoteAddress, id.RemotePort), addrPort(id.LocalAddress, id.LocalPort)
	ep := g.guest(from.Addr())
	targets := g.targets(to)
	if ep == nil || len(targets) == 0 {
		return
	}
	done, err := ep.flows.start(udpFlow)
	if err != nil {
		g.log.Debug("UDP packet of a container dropped", "container", ep.name, "to", to, "error", err)
		return
	}
	out, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(targets[0]))
	if err != nil {
		g.log.Debug("UDP packet of a container dropped", "container", ep.name, "to", to, "error", err)
		done()
		return
	}
	var queue waiter.Queue
	in, terr := r.CreateEndpoint(&queue)
	if terr != nil {
		out.Close()
		done()
		return
	}
	idle := udpIdle
	if to.Port() == dnsPort {
		idle = udpIdleNames
	}
	go func() {
		defer done()
		exchange(ep.flows.ctx, gonet.NewUDPConn(&queue, in), out, idle)
	}()
}

// exchange passes datagrams between two sockets until they have been silent for idle, one of them fails,
// or ctx ends; then it closes both.
func exchange(ctx context.Context, a, b net.Conn, idle time.Duration) {
	closeBoth := sync.OnceFunc(func() {
		a.Close()
		b.Close()
	})
	stop := context.AfterFunc(ctx, closeBoth)
	defer stop()
	quiet := time.AfterFunc(idle, closeBoth)
	defer quiet.Stop()

	pass := func(dst, src net.Conn) {
		defer closeBoth()
		buf := make([]byte, largestDatagram)
		for {
			n, err := src.Read(buf)
			if err != nil {
				return
			}
			if _, err := dst.Write(buf[:n]); err != nil {
				return
			}
			quiet.Reset(idle)
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { pass(a, b) })
	pass(b, a)
	wg.Wait()
}
