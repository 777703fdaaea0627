package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func init() {
	guestKinds["linux"] = func(t *testing.T, ep *Endpoint) guest { return newKernelGuest(t, ep) }
}

// kernelGuest is a machine made of a network namespace: its TAP device is the machine's network card.
type kernelGuest struct {
	work chan func()
}

func newKernelGuest(t *testing.T, ep *Endpoint) *kernelGuest {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a network namespace with a TAP device needs root")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("no /dev/net/tun: load the module tun")
	}
	g := &kernelGuest{work: make(chan func())}
	ready := make(chan error)
	var tap *os.File
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // never unlocked: the thread, and with it the namespace, ends here
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			ready <- fmt.Errorf("unshare: %w", err)
			return
		}
		var err error
		tap, err = openTAP(ep)
		ready <- err
		for f := range g.work {
			f()
		}
	}()
	if err := <-ready; err != nil {
		close(g.work)
		t.Fatal(err)
	}
	conn := wire(t, ep)
	var running sync.WaitGroup
	running.Go(func() { copyFrames(conn, tap) })
	running.Go(func() { copyFrames(tap, conn) })
	t.Cleanup(func() {
		close(g.work)
		<-ended
		tap.Close()
		conn.Close()
		running.Wait()
	})
	return g
}

// openTAP makes and configures the namespace's network card.
func openTAP(ep *Endpoint) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	request, err := unix.NewIfreq("eth0")
	if err != nil {
		return nil, err
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return nil, fmt.Errorf("TUNSETIFF: %w", err)
	}
	tap := os.NewFile(uintptr(fd), "tap")
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		return nil, err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return nil, err
	}
	for _, step := range []func() error{
		func() error { return netlink.LinkSetHardwareAddr(link, ep.MAC) },
		func() error { return netlink.LinkSetMTU(link, ep.MTU) },
		func() error {
			return netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: ep.ip.AsSlice(), Mask: net.CIDRMask(ep.Address.Bits(), 32)}})
		},
		func() error { return netlink.LinkSetUp(lo) },
		func() error { return netlink.LinkSetUp(link) },
		func() error {
			return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: ep.Gateway.AsSlice()})
		},
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return tap, nil
}

func copyFrames(dst interface{ Write([]byte) (int, error) }, src interface{ Read([]byte) (int, error) }) {
	frame := make([]byte, maxFrame)
	for {
		n, err := src.Read(frame)
		if err != nil {
			return
		}
		dst.Write(frame[:n])
	}
}

// do runs f in the namespace.
func (g *kernelGuest) do(f func()) {
	done := make(chan struct{})
	g.work <- func() {
		defer close(done)
		f()
	}
	<-done
}

func (g *kernelGuest) dial(network, address string) (conn net.Conn, err error) {
	g.do(func() {
		conn, err = (&net.Dialer{Timeout: patience}).DialContext(context.Background(), network, address)
	})
	return conn, err
}

func (g *kernelGuest) listen(port uint16) (l net.Listener, err error) {
	g.do(func() { l, err = net.Listen("tcp4", fmt.Sprintf(":%d", port)) })
	return l, err
}

// ping runs the system's ping in the namespace.
func (g *kernelGuest) ping(to string, size int) (output string, err error) {
	g.do(func() {
		var out []byte
		out, err = exec.Command("busybox", "ping", "-c", "1", "-W", "2", "-s", fmt.Sprint(size), to).CombinedOutput()
		output = string(out)
	})
	return output, err
}

func TestPing(t *testing.T) {
	if _, err := exec.LookPath("busybox"); err != nil {
		t.Skip("no ping: install busybox")
	}
	n := testNetwork(t, Options{})
	web, db := attach(t, n, "web"), attach(t, n, "db")
	g := newKernelGuest(t, web)
	newKernelGuest(t, db)
	nobody := netip.AddrFrom4([4]byte{192, 0, 2, 254})
	for _, test := range []struct {
		name   string
		to     netip.Addr
		size   int
		answer bool
	}{
		{"gateway", n.Gateway(), 56, true},
		{"host", n.Host(), 56, true},
		{"other container", db.ip, 30000, true},
		{"outside", outside(t), 1000, true},
		{"nobody outside", nobody, 56, false},
		{"nobody inside", n.Host().Prev(), 56, false},
		{"metadata service", netip.AddrFrom4([4]byte{169, 254, 169, 254}), 56, false},
	} {
		output, err := g.ping(test.to.String(), test.size)
		if (err == nil) != test.answer {
			t.Errorf("%s: %v, want an answer: %v\n%s", test.name, err, test.answer, output)
		}
	}
}

func TestPublishWithoutIPv6(t *testing.T) {
	g := newKernelGuest(t, attach(t, testNetwork(t, Options{}), "host"))
	var p *Published
	var err error
	g.do(func() {
		if err = os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0); err == nil {
			p, err = NewPublisher(nil).Publish(context.Background(), PortSpec{ContainerPort: 80}, nil)
		}
	})
	if errors.Is(err, os.ErrPermission) || errors.Is(err, unix.EROFS) || errors.Is(err, os.ErrNotExist) {
		t.Skipf("cannot turn IPv6 off in a network namespace: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if b := p.Bindings(); len(b) != 1 || b[0].Host.Addr() != loopbacks[0] {
		t.Errorf("bindings %v, want one on %s", b, loopbacks[0])
	}
}

func TestLowPortNeedsRights(t *testing.T) {
	g := newKernelGuest(t, attach(t, testNetwork(t, Options{}), "host"))
	var err error
	g.do(func() {
		// The thread ends with the namespace, so it may give its right away.
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err = unix.Capget(&header, &data[0]); err != nil {
			return
		}
		data[0].Effective &^= 1 << unix.CAP_NET_BIND_SERVICE
		if err = unix.Capset(&header, &data[0]); err != nil {
			return
		}
		var p *Published
		if p, err = NewPublisher(nil).Publish(context.Background(), PortSpec{HostPort: 80, ContainerPort: 80}, nil); err == nil {
			p.Close()
		}
	})
	if !errors.Is(err, unix.EACCES) || !strings.Contains(err.Error(), "ports below 1024") {
		t.Errorf("got %v, want permission denied with a hint about low ports", err)
	}
}
