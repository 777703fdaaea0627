package network

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/link/ethernet"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// patience bounds every wait of a test; it is never what a test measures.
const patience = 20 * time.Second

// guest is a TCP/IP host behind an endpoint's socket.
type guest interface {
	dial(network, address string) (net.Conn, error)
	listen(port uint16) (net.Listener, error)
}

// guestKinds are the implementations of TCP/IP that play the machine in tests.
var guestKinds = map[string]func(t *testing.T, ep *Endpoint) guest{
	"gvisor": func(t *testing.T, ep *Endpoint) guest { return newStackGuest(t, ep) },
}

// onEachGuest runs a test once for each kind of guest.
func onEachGuest(t *testing.T, test func(t *testing.T, start func(t *testing.T, ep *Endpoint) guest)) {
	for kind, start := range guestKinds {
		t.Run(kind, func(t *testing.T) { test(t, start) })
	}
}

func testManager(t *testing.T, o Options) *Manager {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(testLog{t}, nil))
	}
	before := resources()
	m, err := NewManager(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Close()
		before.check(t)
	})
	return m
}

func testNetwork(t *testing.T, o Options) *Network {
	t.Helper()
	n, err := testManager(t, o).Network("shop")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func attach(t *testing.T, n *Network, name string, aliases ...string) *Endpoint {
	t.Helper()
	ep, err := n.Attach(t.Context(), EndpointOptions{Name: name, Aliases: aliases})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ep.Close()
		ep.File.Close()
	})
	return ep
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("log: %s", strings.TrimSpace(string(p)))
	return len(p), nil
}

// usage counts what a network must give back.
type usage struct {
	goroutines  int
	descriptors []string
}

func resources() usage {
	u := usage{goroutines: runtime.NumGoroutine()}
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return u
	}
	for _, e := range entries {
		target, _ := os.Readlink("/dev/fd/" + e.Name())
		u.descriptors = append(u.descriptors, e.Name()+" "+target)
	}
	return u
}

// check fails the test if more is in use than before, once everything had time to end.
func (u usage) check(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		now := resources()
		if now.goroutines <= u.goroutines && len(now.descriptors) <= len(u.descriptors) {
			return
		}
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Errorf("leak: %d goroutines and descriptors %q before, %d and %q after\n%s", u.goroutines, u.descriptors,
				now.goroutines, now.descriptors, stacks[:runtime.Stack(stacks, true)])
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// wire is the machine's end of a port as a connection.
func wire(t *testing.T, ep *Endpoint) *net.UnixConn {
	t.Helper()
	conn, err := net.FileConn(ep.File)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.UnixConn)
}

// stackGuest is a machine made of a second gVisor stack.
type stackGuest struct {
	stack *stack.Stack
	ip    netip.Addr
}

func newStackGuest(t *testing.T, ep *Endpoint) *stackGuest {
	t.Helper()
	conn := wire(t, ep)
	link := channel.New(1024, uint32(ep.MTU)+header.EthernetMinimumSize, tcpip.LinkAddress(ep.MAC))
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4},
	})
	ok := func(err tcpip.Error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	recovery, buffers := tcpip.TCPRecovery(0), tcpip.TCPReceiveBufferSizeRangeOption{Min: 4096, Default: 1 << 20, Max: 4 << 20}
	ok(s.SetTransportProtocolOption(tcp.ProtocolNumber, &recovery))
	ok(s.SetTransportProtocolOption(tcp.ProtocolNumber, &buffers))
	ok(s.CreateNIC(1, ethernet.New(link)))
	ok(s.AddProtocolAddress(1, tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddressWithPrefix{
		Address: tcpip.AddrFrom4(ep.ip.As4()), PrefixLen: ep.Address.Bits()}}, stack.AddressProperties{}))
	local := tcpip.AddressWithPrefix{Address: tcpip.AddrFrom4(ep.ip.As4()), PrefixLen: ep.Address.Bits()}
	s.SetRouteTable([]tcpip.Route{
		{Destination: local.Subnet(), NIC: 1},
		{Destination: header.IPv4EmptySubnet, Gateway: tcpip.AddrFrom4(ep.Gateway.As4()), NIC: 1},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			packet := link.ReadContext(ctx)
			if packet == nil {
				return
			}
			frame := packet.ToView()
			for {
				if _, err := conn.Write(frame.AsSlice()); !errors.Is(err, syscall.ENOBUFS) {
					break
				}
			}
			frame.Release()
			packet.DecRef()
		}
	})
	running.Go(func() {
		frame := make([]byte, maxFrame)
		for {
			n, err := conn.Read(frame)
			if err != nil {
				return
			}
			packet := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(frame[:n])})
			link.InjectInbound(0, packet)
			packet.DecRef()
		}
	})
	t.Cleanup(func() {
		s.Close()
		s.RemoveNIC(1)
		cancel()
		conn.Close()
		running.Wait()
	})
	return &stackGuest{stack: s, ip: ep.ip}
}

func (g *stackGuest) dial(network, address string) (net.Conn, error) {
	to := netip.MustParseAddrPort(address)
	remote := tcpip.FullAddress{NIC: 1, Addr: tcpip.AddrFrom4(to.Addr().As4()), Port: to.Port()}
	if network == "udp" {
		return gonet.DialUDP(g.stack, nil, &remote, ipv4.ProtocolNumber)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := gonet.DialContextTCP(ctx, g.stack, remote, ipv4.ProtocolNumber)
	if err != nil && strings.Contains(err.Error(), (&tcpip.ErrConnectionRefused{}).String()) {
		return nil, syscall.ECONNREFUSED
	}
	if err != nil {
		return nil, err
	}
	return conn, nil
}

func (g *stackGuest) listen(port uint16) (net.Listener, error) {
	return gonet.ListenTCP(g.stack, tcpip.FullAddress{NIC: 1, Addr: tcpip.AddrFrom4(g.ip.As4()), Port: port}, ipv4.ProtocolNumber)
}

// serve accepts connections until the test ends and hands each to handle.
func serve(t *testing.T, l net.Listener, handle func(net.Conn)) {
	t.Helper()
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				closeConn := sync.OnceFunc(func() { conn.Close() })
				defer closeConn()
				defer context.AfterFunc(ctx, closeConn)()
				conn.SetDeadline(time.Now().Add(patience))
				handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		if s, ok := l.(interface{ Shutdown() }); ok {
			s.Shutdown()
		}
		l.Close()
		running.Wait()
	})
}

func listenHost(t *testing.T, network, address string, handle func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l, handle)
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// echo hides what the connection is: between TCP connections io.Copy would use pipes, and keep them.
func echo(conn net.Conn) { io.Copy(struct{ io.Writer }{conn}, conn) }

// roundTrip sends a line and returns what comes back until the end of data.
func roundTrip(t *testing.T, conn net.Conn, text string) string {
	t.Helper()
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}
