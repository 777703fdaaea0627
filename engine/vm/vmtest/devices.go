package vmtest

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/engine/nbd/nbdtest"
	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/engine/vm/vmtest/guest/ports"
)

// testDevices tests disks, network interfaces and console.
func (s *suite) testDevices(t *testing.T) {
	t.Run("Disks", s.testDisks)
	t.Run("SharedDisk", s.testSharedDisk)
	t.Run("NetworkDisk", s.testNetworkDisk)
	t.Run("Shares", s.testShares)
	t.Run("Network", s.testNetwork)
	t.Run("HostNetwork", s.testHostNetwork)
	t.Run("Console", s.testConsole)
	t.Run("Nested", s.testNested)
}

// testDisks uses file names that command lines and their parsers stumble over.
func (s *suite) testDisks(t *testing.T) {
	s.noLeaks(t)
	dir := filepath.Join(t.TempDir(), "a folder, with=commas")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var disks []vm.Disk
	for _, d := range []vm.Disk{
		{Path: "read,only=on", ReadOnly: true, Serial: "image-1"},
		{Path: `scratch "quoted"\`, Serial: "ABCDEFGHIJ0123456789"},
	} {
		d.Path = filepath.Join(dir, d.Path)
		if err := os.WriteFile(d.Path, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		disks = append(disks, d)
	}
	m := s.boot(t, func(c *vm.Config) { c.Disks = append(c.Disks, disks...) })
	m.wantFiles(t, map[string]string{
		"/sys/block/vda/serial": "root",
		"/sys/block/vda/ro":     "1",
		"/sys/block/vdb/serial": "image-1",
		"/sys/block/vdb/ro":     "1",
		"/sys/block/vdb/size":   "2048",
		"/sys/block/vdc/serial": "ABCDEFGHIJ0123456789",
		"/sys/block/vdc/ro":     "0",
	})
	if a := m.ask(t, ports.Request{Do: "write", Argument: "/dev/vdb"}); a.Error == "" {
		t.Error("the guest wrote to a read-only disk")
	}
	m.must(t, ports.Request{Do: "write", Argument: "/dev/vdc"})
	if err := m.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantWritten(t, disks[0].Path, false)
	wantWritten(t, disks[1].Path, true)
}

// wantFiles wants files of the guest to hold one line each.
func (m *machine) wantFiles(t *testing.T, lines map[string]string) {
	t.Helper()
	for path, want := range lines {
		if got := strings.TrimSpace(m.must(t, ports.Request{Do: "read", Argument: path})); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
}

// wantWritten tells whether the guest is to have written to what a file holds.
func wantWritten(t *testing.T, path string, want bool) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.HasPrefix(data, []byte(ports.Greeting)); got != want {
		t.Errorf("%s: written %v, want %v", path, got, want)
	}
}

// testNetworkDisk uses network block devices, one of which goes and comes back
// while the machine runs.
func (s *suite) testNetworkDisk(t *testing.T) {
	s.noLeaks(t)
	var images []string
	for _, name := range []string{"writable", "fixed"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		images = append(images, path)
	}
	server, fixed := nbdtest.Serve(t, images[0]), nbdtest.ServeTCP(t, images[1])
	disks := []vm.Disk{{URL: server.URL, Serial: "writable"}, {URL: fixed.URL, ReadOnly: true, Serial: "fixed"}}
	s.attached.Add(int64(len(disks)))
	m := s.boot(t, func(c *vm.Config) { c.Disks = append(c.Disks, disks...) })
	m.wantFiles(t, map[string]string{
		"/sys/block/vdb/serial": "writable",
		"/sys/block/vdb/size":   "2048",
		"/sys/block/vdb/ro":     "0",
		"/sys/block/vdc/serial": "fixed",
		"/sys/block/vdc/ro":     "1",
	})
	if a := m.ask(t, ports.Request{Do: "write", Argument: "/dev/vdc"}); a.Error == "" {
		t.Error("the guest wrote to a read-only disk")
	}
	server.Kill()
	if a := m.ask(t, ports.Request{Do: "write", Argument: "/dev/vdb"}); a.Error == "" {
		t.Error("the guest wrote to a disk whose server is gone")
	}
	server.Start(t)
	waitFor(t, "the disk works again", func() bool { return m.ask(t, ports.Request{Do: "write", Argument: "/dev/vdb"}).Error == "" })
	if err := m.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantWritten(t, images[0], true)
	wantWritten(t, images[1], false)
}

// testSharedDisk runs two machines from one image at the same time.
func (s *suite) testSharedDisk(t *testing.T) {
	s.noLeaks(t)
	first, second := s.boot(t, nil), s.boot(t, nil)
	echo(t, first.dial(t, ports.Echo), "one")
	echo(t, second.dial(t, ports.Echo), "two")
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	echo(t, second.dial(t, ports.Echo), "two is not disturbed")
}

// testShares shares two directories of the host, one of them to be read only.
func (s *suite) testShares(t *testing.T) {
	s.noLeaks(t)
	dir := filepath.Join(t.TempDir(), "a folder, with=commas")
	for _, name := range []string{"one", "two"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "file"), bytes.Repeat([]byte(name), 200), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := s.boot(t, func(c *vm.Config) {
		c.Shares = []vm.Share{{Name: "first", Path: filepath.Join(dir, "one")}, {Name: "second.1", Path: filepath.Join(dir, "two"), ReadOnly: true}}
	})
	m.must(t, ports.Request{Do: "mount", Argument: vm.ShareTag})
	if got := m.must(t, ports.Request{Do: "list", Argument: ports.Shares}); got != "first second.1" {
		t.Errorf("the guest sees %q", got)
	}
	if got := m.must(t, ports.Request{Do: "read", Argument: ports.Shares + "/second.1/file"}); got != strings.Repeat("two", 200) {
		t.Errorf("the guest read %q", got)
	}
	if a := m.ask(t, ports.Request{Do: "write", Argument: ports.Shares + "/second.1/file"}); a.Error == "" {
		t.Error("the guest wrote to a read-only share")
	}
	if err := m.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.must(t, ports.Request{Do: "write", Argument: ports.Shares + "/first/file"})
	if err := m.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"one": true, "two": false} {
		wantWritten(t, filepath.Join(dir, name, "file"), want)
	}
}

func (s *suite) testNetwork(t *testing.T) {
	s.noLeaks(t)
	host, guest := frameSocket(t)
	mac := net.HardwareAddr{0x02, 0xca, 0xfe, 0, 0, 0x2a}
	const mtu = 9000
	m := s.boot(t, func(c *vm.Config) { c.NICs = []vm.NIC{{MAC: mac, MTU: mtu, File: guest}} })
	guest.Close() // the machine has its own copy

	c := m.tell(t, ports.Request{Do: "frames", Argument: "eth0"})
	header := ports.Broadcast(mac)
	if got := nextFrame(t, host); !bytes.HasPrefix(got, append(header, ports.Hello...)) {
		t.Fatalf("first frame %x", got)
	}
	sent := bytes.Repeat([]byte("jumbo"), 1700)
	frame := append(ports.Broadcast(net.HardwareAddr{0x02, 0, 0, 0, 0, 1}), sent...)
	if _, err := host.Write(frame); err != nil {
		t.Fatal(err)
	}
	got := nextFrame(t, host)
	for bytes.HasPrefix(got, append(header, ports.Hello...)) {
		got = nextFrame(t, host)
	}
	if !bytes.Equal(got, append(header, sent...)) {
		t.Errorf("answer of %d bytes, want %d", len(got), len(header)+len(sent))
	}
	if got := readAll(t, c); !strings.Contains(string(got), "mtu 9000") {
		t.Errorf("the guest says %s", got)
	}
}

// testHostNetwork has an interface on the hypervisor's own network, and refuses
// those that no hypervisor has.
func (s *suite) testHostNetwork(t *testing.T) {
	s.noLeaks(t)
	mac := net.HardwareAddr{0x02, 0xca, 0xfe, 0, 0, 0x2b}
	m := s.boot(t, func(c *vm.Config) { c.NICs = []vm.NIC{{MAC: mac, Host: vm.NAT}} })
	if got := strings.TrimSpace(m.must(t, ports.Request{Do: "read", Argument: "/sys/class/net/eth0/address"})); got != mac.String() {
		t.Errorf("eth0 has the address %s, want %s", got, mac)
	}
	for _, nic := range []vm.NIC{{MAC: mac, Host: "bridge"}, {MAC: mac, Host: vm.NAT, MTU: 1500}, {MAC: mac[:5], Host: vm.NAT}} {
		c := s.config(t, nil)
		c.NICs = []vm.NIC{nic}
		if m, err := s.driver.New(t.Context(), c); err == nil {
			m.Stop(t.Context())
			t.Errorf("a machine has the interface %+v", nic)
		}
	}
}

// frameSocket makes the two ends of a network interface.
func frameSocket(t *testing.T) (host, guest *os.File) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	const buffer = 1 << 20 // a frame larger than the default would not fit on every system
	for _, fd := range pair {
		unix.CloseOnExec(fd)
		if err := errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, buffer),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer),
			unix.SetNonblock(fd, true),
		); err != nil {
			t.Fatal(err)
		}
	}
	host, guest = os.NewFile(uintptr(pair[0]), "host"), os.NewFile(uintptr(pair[1]), "guest")
	t.Cleanup(func() { host.Close(); guest.Close() })
	return host, guest
}

// nextFrame returns the next frame of the tests; the guest's kernel sends others
// of its own accord.
func nextFrame(t *testing.T, host *os.File) []byte {
	t.Helper()
	host.SetReadDeadline(time.Now().Add(waitTimeout))
	frame := make([]byte, 1<<16)
	for {
		n, err := host.Read(frame)
		if err != nil {
			t.Fatal(err)
		}
		if n > 14 && frame[12] == ports.EtherType>>8 && frame[13] == ports.EtherType&0xff {
			return frame[:n]
		}
	}
}

func (s *suite) testConsole(t *testing.T) {
	s.noLeaks(t)
	m := s.boot(t, nil)
	// More than any buffer on the way holds.
	const lines = 2000
	text := strings.Repeat("x", 50)
	for range lines / 100 {
		m.must(t, ports.Request{Do: "print", Argument: strings.Repeat(text+"\n", 100)})
	}
	m.must(t, ports.Request{Do: "print", Argument: "the end"})
	waitFor(t, "the console shows all", func() bool { return strings.Contains(m.console.String(), "the end") })
	if n := strings.Count(m.console.String(), text); n != lines {
		t.Errorf("%d of %d lines on the console", n, lines)
	}
	if !strings.Contains(m.console.String(), ports.Greeting) {
		t.Error("the guest's first line is missing")
	}
}
