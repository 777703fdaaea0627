package network

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestGuestReachesHostLoopback(t *testing.T) {
	onEachGuest(t, func(t *testing.T, start func(*testing.T, *Endpoint) guest) {
		n := testNetwork(t, Options{})
		g := start(t, attach(t, n, "web"))
		for _, loopback := range []string{"127.0.0.1:0", "[::1]:0"} {
			at := listenHost(t, "tcp", loopback, echo)
			conn, err := g.dial("tcp", netip.AddrPortFrom(n.Host(), at.Port()).String())
			if err != nil {
				t.Fatalf("host service on %s: %v", at, err)
			}
			if got := roundTrip(t, conn, "ahoy"); got != "ahoy" {
				t.Errorf("host service on %s answered %q", at, got)
			}
		}
	})
}

// outside returns an address of this host that is not loopback: for a guest it is as good as any other
// machine.
func outside(t *testing.T) netip.Addr {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && p.Addr().IsGlobalUnicast() {
			return p.Addr()
		}
	}
	t.Skip("this host has no IPv4 address but its loopback: connect it to a network")
	return netip.Addr{}
}

func TestGuestReachesOutside(t *testing.T) {
	onEachGuest(t, func(t *testing.T, start func(*testing.T, *Endpoint) guest) {
		at := listenHost(t, "tcp", netip.AddrPortFrom(outside(t), 0).String(), echo)
		g := start(t, attach(t, testNetwork(t, Options{}), "web"))
		conn, err := g.dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		if got := roundTrip(t, conn, "ahoy"); got != "ahoy" {
			t.Errorf("answered %q", got)
		}
	})
}

func TestForbiddenDestinationsAreRefused(t *testing.T) {
	onEachGuest(t, func(t *testing.T, start func(*testing.T, *Endpoint) guest) {
		m := testManager(t, Options{})
		n, err := m.Network("shop")
		if err != nil {
			t.Fatal(err)
		}
		other, err := m.Network("bank")
		if err != nil {
			t.Fatal(err)
		}
		neighbour := attach(t, other, "vault")
		_ = neighbour
		closed := listenHost(t, "tcp", "127.0.0.1:0", echo)
		g := start(t, attach(t, n, "web"))
		for name, to := range map[string]string{
			"nobody listens on the host":   netip.AddrPortFrom(n.Host(), 1).String(),
			"gateway":                      netip.AddrPortFrom(n.Gateway(), closed.Port()).String(),
			"container of another network": netip.AddrPortFrom(neighbour.ip, 80).String(),
			"gateway of another network":   netip.AddrPortFrom(other.Gateway(), 53).String(),
			"host of another network":      netip.AddrPortFrom(other.Host(), closed.Port()).String(),
			"metadata service":             "169.254.169.254:80",
			"reserved address":             "240.0.0.1:80",
		} {
			conn, err := g.dial("tcp", to)
			if err == nil {
				conn.Close()
			}
			if !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%s (%s): got %v, want connection refused", name, to, err)
			}
		}
	})
}

func TestGuestsOfOneNetworkReachEachOther(t *testing.T) {
	onEachGuest(t, func(t *testing.T, start func(*testing.T, *Endpoint) guest) {
		n := testNetwork(t, Options{})
		db := attach(t, n, "db")
		l, err := start(t, db).listen(5432)
		if err != nil {
			t.Fatal(err)
		}
		serve(t, l, echo)
		conn, err := start(t, attach(t, n, "web")).dial("tcp", netip.AddrPortFrom(db.ip, 5432).String())
		if err != nil {
			t.Fatal(err)
		}
		if got := roundTrip(t, conn, "select 1"); got != "select 1" {
			t.Errorf("answered %q", got)
		}
	})
}

func TestHostDialsGuest(t *testing.T) {
	onEachGuest(t, func(t *testing.T, start func(*testing.T, *Endpoint) guest) {
		n := testNetwork(t, Options{})
		ep := attach(t, n, "web")
		l, err := start(t, ep).listen(80)
		if err != nil {
			t.Fatal(err)
		}
		serve(t, l, echo)
		conn, err := n.DialTCP(t.Context(), netip.AddrPortFrom(ep.ip, 80))
		if err != nil {
			t.Fatal(err)
		}
		if got := roundTrip(t, conn, "ahoy"); got != "ahoy" {
			t.Errorf("answered %q", got)
		}
		if _, err := n.DialTCP(t.Context(), netip.AddrPortFrom(ep.ip, 81)); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("dialling a closed port: %v", err)
		}
		if _, err := n.DialTCP(t.Context(), netip.AddrPortFrom(ep.ip.Next(), 80)); err == nil || !strings.Contains(err.Error(), "no container") {
			t.Errorf("dialling nobody: %v", err)
		}
	})
}

// transferSize is what each direction of a bulk transfer carries.
const transferSize = 100 << 20

func TestBulkTransferBothWays(t *testing.T) {
	onEachGuest(t, func(t *testing.T, start func(*testing.T, *Endpoint) guest) {
		sums := make(chan string, 1)
		at := listenHost(t, "tcp", "127.0.0.1:0", func(conn net.Conn) {
			conn.SetDeadline(time.Time{})
			sent := make(chan string)
			go func() { sent <- sendBulk(conn, 1) }()
			received := receiveBulk(conn)
			sums <- <-sent + " " + received
		})
		n := testNetwork(t, Options{})
		conn, err := start(t, attach(t, n, "web")).dial("tcp", netip.AddrPortFrom(n.Host(), at.Port()).String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		sent := make(chan string)
		go func() { sent <- sendBulk(conn, 2) }()
		received := receiveBulk(conn)
		guest := received + " " + <-sent
		if host := <-sums; host != guest {
			t.Errorf("host sent and received %s\nguest received and sent %s", host, guest)
		}
	})
}

// sendBulk writes pseudo-random bytes and the end of data, and returns size and checksum.
func sendBulk(conn net.Conn, seed uint64) string {
	sum := sha256.New()
	source := rand.NewChaCha8([32]byte{byte(seed)})
	n, err := io.CopyN(io.MultiWriter(conn, sum), source, transferSize)
	if err == nil {
		err = conn.(interface{ CloseWrite() error }).CloseWrite()
	}
	return fmt.Sprintf("%d %x %v", n, sum.Sum(nil), err)
}

func receiveBulk(conn net.Conn) string {
	sum := sha256.New()
	n, err := io.Copy(sum, conn)
	return fmt.Sprintf("%d %x %v", n, sum.Sum(nil), err)
}

func TestHalfCloseFromEitherSide(t *testing.T) {
	onEachGuest(t, func(t *testing.T, start func(*testing.T, *Endpoint) guest) {
		hostSaw := make(chan string, 1)
		at := listenHost(t, "tcp", "127.0.0.1:0", func(conn net.Conn) {
			// The host ends its direction first and must still receive.
			io.WriteString(conn, "banner")
			conn.(*net.TCPConn).CloseWrite()
			all, _ := io.ReadAll(conn)
			hostSaw <- string(all)
		})
		n := testNetwork(t, Options{})
		conn, err := start(t, attach(t, n, "web")).dial("tcp", netip.AddrPortFrom(n.Host(), at.Port()).String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		if banner, err := io.ReadAll(conn); string(banner) != "banner" || err != nil {
			t.Fatalf("guest read %q, %v", banner, err)
		}
		if _, err := io.WriteString(conn, "late answer"); err != nil {
			t.Fatal(err)
		}
		conn.(interface{ CloseWrite() error }).CloseWrite()
		if got := <-hostSaw; got != "late answer" {
			t.Errorf("host read %q", got)
		}
	})
}

func TestResetReachesGuest(t *testing.T) {
	onEachGuest(t, func(t *testing.T, start func(*testing.T, *Endpoint) guest) {
		at := listenHost(t, "tcp", "127.0.0.1:0", func(conn net.Conn) {
			io.ReadFull(conn, make([]byte, 1))
			conn.(*net.TCPConn).SetLinger(0)
		})
		n := testNetwork(t, Options{})
		conn, err := start(t, attach(t, n, "web")).dial("tcp", netip.AddrPortFrom(n.Host(), at.Port()).String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write([]byte{1})
		if _, err := conn.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("guest read %v, want a reset", err)
		}
	})
}

func TestUDPThroughGateway(t *testing.T) {
	onEachGuest(t, func(t *testing.T, start func(*testing.T, *Endpoint) guest) {
		server, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		go func() {
			buf := make([]byte, 65536)
			for {
				n, from, err := server.ReadFrom(buf)
				if err != nil {
					return
				}
				server.WriteTo(bytes.ToUpper(buf[:n]), from)
			}
		}()
		n := testNetwork(t, Options{})
		conn, err := start(t, attach(t, n, "web")).dial("udp", netip.AddrPortFrom(n.Host(), uint16(server.LocalAddr().(*net.UDPAddr).Port)).String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		for _, text := range []string{"one", "two", strings.Repeat("long", 10000)} {
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 65536)
			got, err := conn.Read(buf)
			if err != nil || string(buf[:got]) != strings.ToUpper(text) {
				t.Fatalf("sent %d bytes, got %d back: %v", len(text), got, err)
			}
		}
	})
}

// A UDP packet to a place that is not allowed is answered with "port unreachable", which a connected
// socket of Linux reports as refused.
func TestForbiddenUDPIsRefused(t *testing.T) {
	start, ok := guestKinds["linux"]
	if !ok {
		t.Skip("needs a Linux kernel as the guest")
	}
	n := testNetwork(t, Options{})
	g := start(t, attach(t, n, "web"))
	for _, to := range []string{"169.254.169.254:53", netip.AddrPortFrom(n.Gateway(), 9).String()} {
		conn, err := g.dial("udp", to)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write([]byte("hello"))
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: %v, want connection refused", to, err)
		}
	}
}

func TestExchangeEndsWhenIdle(t *testing.T) {
	a, guestEnd := net.Pipe()
	b, hostEnd := net.Pipe()
	ended := make(chan struct{})
	go func() {
		exchange(context.Background(), a, b, time.Millisecond)
		close(ended)
	}()
	for _, end := range []net.Conn{guestEnd, hostEnd} {
		end.SetDeadline(time.Now().Add(patience))
		if _, err := end.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the other end was not closed: %v", err)
		}
	}
	<-ended
}

func TestStoppedGuestDelaysNobody(t *testing.T) {
	onEachGuest(t, func(t *testing.T, start func(*testing.T, *Endpoint) guest) {
		n := testNetwork(t, Options{})
		stopped := attach(t, n, "stopped") // nobody reads its socket
		at := listenHost(t, "tcp", "127.0.0.1:0", echo)
		a, b := attach(t, n, "a"), attach(t, n, "b")
		ga, gb := start(t, a), start(t, b)
		l, err := gb.listen(80)
		if err != nil {
			t.Fatal(err)
		}
		serve(t, l, echo)

		flood := ethernetFrame(stopped.MAC, a.MAC, a.ip, stopped.ip, make([]byte, 60000))
		for sent := 0; stopped.Stats().Dropped == 0; sent++ { // fill its socket and its queue
			if sent == 1000 {
				t.Fatalf("%d frames of %d bytes and nothing dropped", sent, len(flood))
			}
			n.sw.forward(hwaddr(a.MAC), flood)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		dialled := make(chan struct{})
		go func() { // and keep the gateway busy with it
			defer close(dialled)
			n.DialTCP(ctx, netip.AddrPortFrom(stopped.ip, 80))
		}()
		for range 10 {
			n.sw.forward(hwaddr(a.MAC), flood)
			for _, to := range []netip.AddrPort{netip.AddrPortFrom(b.ip, 80), netip.AddrPortFrom(n.Host(), at.Port())} {
				conn, err := ga.dial("tcp", to.String())
				if err != nil {
					t.Fatalf("dial %s: %v", to, err)
				}
				if got := roundTrip(t, conn, "still here"); got != "still here" {
					t.Errorf("%s answered %q", to, got)
				}
			}
		}
		cancel()
		<-dialled
	})
}

func TestEndpointCloseEndsItsConnections(t *testing.T) {
	onEachGuest(t, func(t *testing.T, start func(*testing.T, *Endpoint) guest) {
		ended := make(chan error, 1)
		at := listenHost(t, "tcp", "127.0.0.1:0", func(conn net.Conn) {
			conn.Write([]byte{1})
			_, err := io.Copy(io.Discard, conn)
			ended <- err
		})
		n := testNetwork(t, Options{})
		ep := attach(t, n, "web")
		g := start(t, ep)
		l, err := g.listen(80)
		if err != nil {
			t.Fatal(err)
		}
		serve(t, l, echo)
		out, err := g.dial("tcp", netip.AddrPortFrom(n.Host(), at.Port()).String())
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		io.ReadFull(out, make([]byte, 1))
		in, err := n.DialTCP(t.Context(), netip.AddrPortFrom(ep.ip, 80))
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()

		ep.Close()
		ep.Close()
		if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("host service saw %v, want a reset", err)
		}
		if _, err := in.Read(make([]byte, 1)); err == nil {
			t.Error("the host's connection to the guest still works")
		}
		if _, err := n.DialTCP(t.Context(), netip.AddrPortFrom(ep.ip, 80)); err == nil {
			t.Error("a container that left can be dialled")
		}
	})
}

// A guest that begins a handshake and falls silent must not hold up the end of its endpoint.
func TestEndpointCloseInterruptsHandshake(t *testing.T) {
	accepted := make(chan struct{}, 1)
	at := listenHost(t, "tcp", "127.0.0.1:0", func(conn net.Conn) {
		accepted <- struct{}{}
		io.Copy(io.Discard, conn)
	})
	n := testNetwork(t, Options{})
	ep := attach(t, n, "web")
	syn := tcpSYN(ep.ip, n.Host(), at.Port())
	if _, err := wire(t, ep).Write(ethernetFrame(n.gateway.nic.hw[:], ep.MAC, ep.ip, n.Host(), syn)); err != nil {
		t.Fatal(err)
	}
	<-accepted
	closed := make(chan struct{})
	go func() {
		ep.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(handshakeTimeout - 2*time.Second):
		t.Error("Close waits for the handshake")
	}
}
