package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
)

// lockedBuffer is a log that several goroutines write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// dialHost returns a DialFunc that reaches a service of this process instead of a machine.
func dialHost(at netip.AddrPort) DialFunc {
	return func(ctx context.Context, port uint16) (net.Conn, error) {
		if port != 80 {
			return nil, fmt.Errorf("dialled port %d", port)
		}
		var d net.Dialer
		return d.DialContext(ctx, "tcp", at.String())
	}
}

func publish(t *testing.T, log io.Writer, spec PortSpec, dial DialFunc) *Published {
	t.Helper()
	p, err := NewPublisher(slog.New(slog.NewTextHandler(log, nil))).Publish(t.Context(), spec, dial)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func hasIPv6() bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err == nil {
		l.Close()
	}
	return err == nil
}

func TestPublishOnBothLoopbacks(t *testing.T) {
	before := resources()
	t.Cleanup(func() { before.check(t) })
	container := listenHost(t, "tcp", "127.0.0.1:0", func(conn net.Conn) {
		io.WriteString(conn, "220 ready\n") // the server speaks first
		echo(conn)
	})
	p := publish(t, io.Discard, PortSpec{ContainerPort: 80}, dialHost(container))
	want := []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	if hasIPv6() {
		want = append(want, netip.IPv6Loopback())
	}
	bindings := p.Bindings()
	if len(bindings) != len(want) {
		t.Fatalf("bindings %v, want them on %v", bindings, want)
	}
	for i, b := range bindings {
		if b.Host.Addr() != want[i] || b.Host.Port() != bindings[0].Host.Port() || b.Host.Port() == 0 || b.ContainerPort != 80 || b.Protocol != "tcp" {
			t.Errorf("binding %+v, want it on %s", b, want[i])
		}
		conn, err := net.Dial("tcp", b.Host.String())
		if err != nil {
			t.Fatal(err)
		}
		if got := roundTrip(t, conn, "ahoy"); got != "220 ready\nahoy" {
			t.Errorf("%s answered %q", b.Host, got)
		}
	}
	p.Close()
	for _, b := range bindings {
		if _, err := net.Dial("tcp", b.Host.String()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s after Close: %v", b.Host, err)
		}
	}
}

func TestPublishedPortResetsWhenContainerIsDown(t *testing.T) {
	var log lockedBuffer
	p := publish(t, &log, PortSpec{HostIP: "127.0.0.1", ContainerPort: 80}, func(context.Context, uint16) (net.Conn, error) {
		return nil, errors.New("nobody home")
	})
	conn, err := net.Dial("tcp", p.Bindings()[0].Host.String())
	if err == nil { // the reset may be faster than the caller
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("client saw %v, want a reset", err)
	}
	p.Close()
	if !strings.Contains(log.String(), "nobody home") {
		t.Errorf("the log does not say why: %q", log.String())
	}
}

func TestPublishedCloseEndsConnections(t *testing.T) {
	before := resources()
	t.Cleanup(func() { before.check(t) })
	container := listenHost(t, "tcp", "127.0.0.1:0", echo)
	p := publish(t, io.Discard, PortSpec{HostIP: "127.0.0.1", ContainerPort: 80}, dialHost(container))
	conn, err := net.Dial("tcp", p.Bindings()[0].Host.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write([]byte{1})
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection is still open: %v", err)
	}
}

func TestPublishErrors(t *testing.T) {
	taken := listenHost(t, "tcp4", "127.0.0.1:0", echo)
	takenEverywhere := listenHost(t, "tcp4", "0.0.0.0:0", echo)
	holder := "test" // part of this process's name
	if runtime.GOOS != "linux" {
		holder = "another process"
	}
	for _, test := range []struct {
		name string
		spec PortSpec
		want []string
	}{
		{"taken", PortSpec{HostPort: taken.Port(), ContainerPort: 80}, []string{taken.String(), holder, "choose another host port"}},
		{"taken on all addresses", PortSpec{HostIP: "127.0.0.1", HostPort: takenEverywhere.Port(), ContainerPort: 80}, []string{holder}},
		{"udp", PortSpec{ContainerPort: 53, Protocol: "udp"}, []string{"53/udp", "publishing udp ports is not supported yet"}},
		{"no port", PortSpec{}, []string{"1 to 65535"}},
		{"name as address", PortSpec{HostIP: "localhost", ContainerPort: 80}, []string{`"localhost"`, "127.0.0.1"}},
		{"foreign address", PortSpec{HostIP: "203.0.113.7", ContainerPort: 80}, []string{"203.0.113.7", "no interface"}},
	} {
		p, err := NewPublisher(nil).Publish(t.Context(), test.spec, nil)
		if err == nil {
			p.Close()
			t.Errorf("%s: no error", test.name)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q does not say %q", test.name, err, want)
			}
		}
	}
}

// A port that is free on 127.0.0.1 but not on ::1 must not stay half published.
func TestPublishRollsBack(t *testing.T) {
	if !hasIPv6() {
		t.Skip("this host has no IPv6 loopback")
	}
	taken := listenHost(t, "tcp6", "[::1]:0", echo)
	if _, err := NewPublisher(nil).Publish(t.Context(), PortSpec{HostPort: taken.Port(), ContainerPort: 80}, nil); !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("got %v, want address in use", err)
	}
	l, err := net.Listen("tcp4", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), taken.Port()).String())
	if err != nil {
		t.Fatalf("127.0.0.1 is still taken: %v", err)
	}
	l.Close()
}

func TestExplainListen(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.1:80")
	for errno, want := range map[syscall.Errno]string{
		syscall.EACCES:        "ports below 1024 need",
		syscall.EADDRNOTAVAIL: "no interface of this host has the address",
		syscall.EMFILE:        "cannot listen on 127.0.0.1:80",
	} {
		err := explainListen(at, &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", errno)})
		if !strings.Contains(err.Error(), want) || !errors.Is(err, errno) {
			t.Errorf("%v: %q does not say %q", errno, err, want)
		}
	}
}

// tcpPair returns both ends of a TCP connection.
func tcpPair(t *testing.T) (*net.TCPConn, *net.TCPConn) {
	t.Helper()
	accepted := make(chan net.Conn)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, _ := l.Accept()
		accepted <- conn
	}()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, b := dialled.(*net.TCPConn), (<-accepted).(*net.TCPConn)
	for _, c := range []*net.TCPConn{a, b} {
		c.SetDeadline(time.Now().Add(patience))
		t.Cleanup(func() { c.Close() })
	}
	return a, b
}

func TestSplice(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, left, right *net.TCPConn)
	}{
		{"each direction ends on its own", func(t *testing.T, left, right *net.TCPConn) {
			io.WriteString(left, "question")
			left.CloseWrite()
			if got, err := io.ReadAll(right); string(got) != "question" || err != nil {
				t.Errorf("right read %q, %v", got, err)
			}
			io.WriteString(right, "answer")
			right.CloseWrite()
			if got, err := io.ReadAll(left); string(got) != "answer" || err != nil {
				t.Errorf("left read %q, %v", got, err)
			}
		}},
		{"a reset is passed on as one", func(t *testing.T, left, right *net.TCPConn) {
			left.SetLinger(0)
			left.Close()
			if _, err := io.ReadAll(right); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("right read %v, want a reset", err)
			}
		}},
		{"a reader that goes ends the writer", func(t *testing.T, left, right *net.TCPConn) {
			right.Close()
			block := make([]byte, 1<<20)
			for {
				if _, err := left.Write(block); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatal("the writer was never told")
				} else if err != nil {
					return
				}
			}
		}},
		{"a slow reader holds the writer back", func(t *testing.T, left, right *net.TCPConn) {
			const size = 32 << 20 // more than all buffers on the way
			sent := make(chan error)
			go func() {
				_, err := left.Write(make([]byte, size))
				left.CloseWrite()
				sent <- err
			}()
			select {
			case <-sent:
				t.Error("32 MiB went into a connection that nobody read")
			case <-time.After(200 * time.Millisecond):
			}
			n, err := io.Copy(io.Discard, right)
			if n != size || err != nil || <-sent != nil {
				t.Errorf("right read %d bytes, %v", n, err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			left, a := tcpPair(t)
			right, b := tcpPair(t)
			ended := make(chan struct{})
			go func() {
				Splice(a, b)
				close(ended)
			}()
			test.run(t, left, right)
			left.Close()
			right.Close()
			<-ended
		})
	}
}

// A connection that cannot close one direction alone takes the other one with it.
func TestSpliceWithoutHalfClose(t *testing.T) {
	left, a := tcpPair(t)
	right, b := net.Pipe()
	right.SetDeadline(time.Now().Add(patience))
	ended := make(chan struct{})
	go func() {
		Splice(a, b)
		close(ended)
	}()
	go io.WriteString(left, "all")
	got := make([]byte, 3)
	io.ReadFull(right, got)
	left.CloseWrite()
	if _, err := right.Read(make([]byte, 1)); err != io.EOF || string(got) != "all" {
		t.Errorf("right read %q, then %v", got, err)
	}
	<-ended
}
