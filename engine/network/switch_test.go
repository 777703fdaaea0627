package network

import (
	"bytes"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// received returns the next frame of a machine.
func received(t *testing.T, c interface {
	Read([]byte) (int, error)
	SetReadDeadline(time.Time) error
}) []byte {
	t.Helper()
	frame := make([]byte, maxFrame)
	c.SetReadDeadline(time.Now().Add(patience))
	n, err := c.Read(frame)
	if err != nil {
		t.Fatal(err)
	}
	return frame[:n]
}

// Frames that a machine has no right to send reach nobody; the honest one after them does.
func TestSpoofedFramesAreDropped(t *testing.T) {
	n := testNetwork(t, Options{})
	evil, victim := attach(t, n, "evil"), attach(t, n, "victim")
	evilHW, victimHW := hwaddr(evil.MAC), hwaddr(victim.MAC)
	from, to := wire(t, evil), wire(t, victim)
	everyone := hwaddr{255, 255, 255, 255, 255, 255}
	bad := [][]byte{
		ethernetFrame(victim.MAC, victim.MAC, evil.ip, victim.ip, []byte("MAC")),
		ethernetFrame(victim.MAC, evil.MAC, n.Gateway(), victim.ip, []byte("IP")),
		arpFrame(everyone, evilHW, evilHW, n.Gateway(), victim.ip),
		arpFrame(victimHW, evilHW, n.gateway.nic.hw, evil.ip, victim.ip),
		append(append(append([]byte{}, victim.MAC...), evil.MAC...), 0x86, 0xdd, 0x60),
		[]byte("runt"),
		{},
	}
	good := ethernetFrame(victim.MAC, evil.MAC, evil.ip, victim.ip, []byte("honest"))
	for _, frame := range append(bad, good) {
		if _, err := from.Write(frame); err != nil {
			t.Fatal(err)
		}
	}
	if got := received(t, to); !bytes.Equal(got, good) {
		t.Errorf("victim received %x", got)
	}
	if got := evil.Stats().Rejected; got != uint64(len(bad)) {
		t.Errorf("%d frames rejected, want %d", got, len(bad))
	}
}

func TestFramesGoWhereTheyBelong(t *testing.T) {
	n := testNetwork(t, Options{})
	a, b, c := attach(t, n, "a"), attach(t, n, "b"), attach(t, n, "c")
	wa, wb, wc := wire(t, a), wire(t, b), wire(t, c)
	write := func(frame []byte) {
		t.Helper()
		if _, err := wa.Write(frame); err != nil {
			t.Fatal(err)
		}
	}
	everyone, nobody := hwaddr{255, 255, 255, 255, 255, 255}, hwaddr{2, 0, 0, 0, 0, 9}
	write(ethernetFrame(nobody[:], a.MAC, a.ip, c.ip, []byte("to nobody")))
	write(ethernetFrame(a.MAC, a.MAC, a.ip, a.ip, []byte("to itself")))
	forC := ethernetFrame(c.MAC, a.MAC, a.ip, c.ip, []byte("to c"))
	write(forC)
	forAll := arpFrame(everyone, hwaddr(a.MAC), hwaddr(a.MAC), a.ip, b.ip)
	write(forAll)
	if got := received(t, wb); !bytes.Equal(got, forAll) {
		t.Errorf("b received %x first", got)
	}
	for _, want := range [][]byte{forC, forAll} {
		if got := received(t, wc); !bytes.Equal(got, want) {
			t.Errorf("c received %x, want %x", got, want)
		}
	}
	// Nothing came back to a: the gateway answers the question about its own address first.
	write(arpFrame(everyone, hwaddr(a.MAC), hwaddr(a.MAC), a.ip, n.Gateway()))
	answer := received(t, wa)
	if etherType(answer) != etherTypeARP || hwaddr(answer[6:12]) != n.gateway.nic.hw {
		t.Errorf("a received %x", answer)
	}
}

// The gateway's stack accepts packets for all addresses, but must not claim to own them.
func TestGatewayClaimsNoAddressButItsOwn(t *testing.T) {
	n := testNetwork(t, Options{})
	a := attach(t, n, "a")
	w := wire(t, a)
	everyone, hw := hwaddr{255, 255, 255, 255, 255, 255}, hwaddr(a.MAC)
	for _, target := range []netip.Addr{a.ip.Next(), netip.MustParseAddr("192.0.2.1"), n.Host()} {
		if _, err := w.Write(arpFrame(everyone, hw, hw, a.ip, target)); err != nil {
			t.Fatal(err)
		}
	}
	answer := received(t, w)
	if got := netip.AddrFrom4([4]byte(answer[28:32])); got != n.Host() {
		t.Errorf("the gateway claims %s", got)
	}
}

// What a machine does not read at once waits, in order, and what is too much is dropped and counted.
func TestPortQueuesThenDrops(t *testing.T) {
	n := testNetwork(t, Options{})
	a, b := attach(t, n, "a"), attach(t, n, "b")
	const size, enough = 60000, 1000
	sent := 0
	for ; b.Stats().Dropped == 0 && sent < enough; sent++ {
		payload := bytes.Repeat([]byte{byte(sent)}, size)
		n.sw.forward(hwaddr(a.MAC), ethernetFrame(b.MAC, a.MAC, a.ip, b.ip, payload))
	}
	kept := sent - 1
	if sent == enough || kept*size < portQueue-size {
		t.Fatalf("%d frames were taken, %d dropped", sent, b.Stats().Dropped)
	}
	w := wire(t, b)
	for i := range kept {
		if frame := received(t, w); frame[len(frame)-1] != byte(i) || len(frame) != ethernetHeader+ipv4MinHeader+size {
			t.Fatalf("frame %d of %d: %d bytes, number %d", i, kept, len(frame), frame[len(frame)-1])
		}
	}
	n.sw.forward(hwaddr(a.MAC), ethernetFrame(b.MAC, a.MAC, a.ip, b.ip, []byte("again")))
	if frame := received(t, w); !bytes.HasSuffix(frame, []byte("again")) {
		t.Errorf("after the jam: %x", frame)
	}
}

func TestPortSocketsCloseOnExec(t *testing.T) {
	ours, theirs, err := datagramPair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	check := func(name string, fd uintptr) {
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFD, 0)
		if errno != 0 || flags&syscall.FD_CLOEXEC == 0 {
			t.Errorf("%s: descriptor flags %d, %v", name, flags, errno)
		}
	}
	raw, err := ours.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { check("ours", fd) })
	check("theirs", theirs.Fd())
	ours.SetReadDeadline(time.Now())
	if _, err := ours.Read(make([]byte, 1)); !os.IsTimeout(err) {
		t.Errorf("our end blocks: %v", err)
	}
}

func TestSwitchRefusesTwoOfAnAddress(t *testing.T) {
	var sw ethernetSwitch
	hw := hwaddr{2, 0, 0, 0, 0, 1}
	if err := sw.plug(hw, &nic{}); err != nil {
		t.Fatal(err)
	}
	if err := sw.plug(hw, &nic{}); err == nil {
		t.Error("a second station got the same address")
	}
	sw.unplug(hw)
	if err := sw.plug(hw, &nic{}); err != nil {
		t.Errorf("the address is not free after unplug: %v", err)
	}
}
