//go:build linux

package agent_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/engine/agent"
	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/api/reason"
)

// TestLimits gives a container less than its machine has, a network interface
// and mounts.
func TestLimits(t *testing.T) {
	theirs := socketPair(t)
	g := boot(t, bootOptions{image: newImage(t, nil), memory: 384 << 20,
		nics: []vm.NIC{{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, MTU: 1500, File: theirs}},
		configure: func(r *api.ConfigureRequest) {
			r.Container.Resources = &api.Resources{MemoryBytes: 64 << 20, CpuQuotaUs: 50_000, Pids: 20}
			r.Interfaces = []*api.Interface{{Name: "eth0", Addresses: []string{"10.7.0.2/24", "fd07::2/64"}, Gateways: []string{"10.7.0.1", "fd07::1"}, Mtu: 1400}}
			r.Container.Names.Domainname, r.Container.Names.Nameservers = "test", []string{"10.7.0.1", "fd07::1"}
			r.Container.Names.Search, r.Container.Names.Options = []string{"a.test", "b.test"}, []string{"ndots:2"}
			r.Container.Names.Hosts = []*api.Host{{Address: "10.7.0.2", Names: []string{"islet", "islet.test"}}}
			r.Container.Sysctls = map[string]string{"net.core.somaxconn": "1234", "kernel.msgmax": "4321", "net.ipv4.ip_unprivileged_port_start": "0"}
			// The inner one comes first and is there all the same.
			r.Container.Mounts = []*api.Mount{
				{Type: "tmpfs", Source: "tmpfs", Target: "/data/inner", Options: []string{"size=1m", "mode=700"}},
				{Type: "tmpfs", Source: "tmpfs", Target: "data/./", Options: []string{"nodev", "noexec"}},
				{Type: "tmpfs", Source: "tmpfs", Target: "/tmp", Options: []string{"mode=1777"}},
			}
		}})
	t.Run("limits", g.testLimits)
	t.Run("network 155 157 158 159 160 164", g.testNetwork)
	t.Run("forward", g.testForward)
	t.Run("mounts", g.testMounts)
	t.Run("memory", g.testMemory)
	g.shutDown(t)
}

func (g *guest) testLimits(t *testing.T) {
	g.want(t, "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max", "67108864\n20\n50000 100000")
	g.want(t, "cat /proc/sys/net/core/somaxconn /proc/sys/kernel/msgmax", "1234\n4321")
	r := g.shell(t, "for i in $(seq 40); do sleep 2 & done; wait")
	if r.Code == 0 || !strings.Contains(r.err, "fork") {
		t.Errorf("40 processes of 20: %+v", r)
	}
}

func (g *guest) testNetwork(t *testing.T) {
	g.want(t, "ip -o -4 addr show eth0 | awk '{print $4}'", "10.7.0.2/24")
	g.want(t, "ip -o -6 addr show eth0 scope global | grep -c -E 'fd07::2/64.*tentative'; ip -6 addr show eth0 | grep -c fd07::2/64", "0\n1")
	g.want(t, "cat /sys/class/net/eth0/mtu /proc/sys/net/ipv6/conf/eth0/accept_ra", "1400\n0")
	g.want(t, "ip route | awk '/^default/ {print $3, $5}'", "10.7.0.1 eth0")
	g.want(t, "ip -6 route | awk '/^default/ {print $3, $5}'", "fd07::1 eth0")
	g.want(t, "ping -c 1 -W 5 127.0.0.1 > /dev/null && echo up", "up")
	g.want(t, "cat /etc/resolv.conf", "nameserver 10.7.0.1\nnameserver fd07::1\nsearch a.test b.test\noptions ndots:2")
	g.want(t, "tail -n 1 /etc/hosts; cat /proc/sys/kernel/domainname", "10.7.0.2\tislet islet.test\ntest")
}

// TestGateways has gateways that are in no subnet of the machine's, and machines
// with IPv6 alone, for several containers.
func TestGateways(t *testing.T) {
	image := newImage(t, nil)
	for _, test := range []struct {
		name                string
		addresses, gateways []string
		v4, v6              string
	}{
		{"outside 161", []string{"10.7.0.2/24", "fd00::2/120"}, []string{"10.9.0.1", "fd01::1"},
			"10.9.0.1 dev eth0 scope link\ndefault via 10.9.0.1 dev eth0", "default via fd01::1 dev eth0\nfd01::1 dev eth0"},
		{"IPv6 alone 162", []string{"fd00::2/64"}, []string{"fd00::1"}, "", "default via fd00::1 dev eth0"},
		{"IPv6 alone and outside 163 165", []string{"fd00::2/120"}, []string{"fd01::1"}, "", "default via fd01::1 dev eth0\nfd01::1 dev eth0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := boot(t, bootOptions{image: image, nics: []vm.NIC{{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, MTU: 1500, File: socketPair(t)}},
				configure: func(r *api.ConfigureRequest) {
					r.Interfaces = []*api.Interface{{Name: "eth0", Addresses: test.addresses, Gateways: test.gateways}}
				}})
			routes := func(family string) string {
				return strings.TrimSpace(g.shell(t, "ip "+family+" route | grep -E '^(default|10.9|fd01)' | sed -e 's/ metric.*//' -e 's/ *$//' | sort").out)
			}
			if got := routes("-4"); got != test.v4 {
				t.Errorf("IPv4: %q, want %q", got, test.v4)
			}
			if got := routes("-6"); got != strings.TrimSpace(test.v6) {
				t.Errorf("IPv6: %q, want %q", got, test.v6)
			}
			g.want(t, "ip -o -6 addr show eth0 scope global | grep -c fd00::2", "1")
		})
	}
}

func (g *guest) testForward(t *testing.T) {
	ctx := deadline(t)
	serve := func(how, address string) *agent.Process {
		p := g.start(t, &api.Process{Args: []string{"probe", how, address}, User: "anna"}, agent.Stdio{Stdout: true})
		if _, err := p.Stdout.Read(make([]byte, 10)); err != nil { // "listening"
			t.Fatal(err)
		}
		return p
	}
	serve("reset", ":90")
	broken, err := g.client.DialPort(ctx, 90)
	must(t, err)
	defer broken.Close()
	must(t, broken.SetDeadline(deadlineOf(t)))
	for err == nil { // until the end comes through
		_, err = broken.Write(make([]byte, 1<<10))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a connection that the container has reset stays open")
	}
	server := serve("serve", ":80")
	for range 3 {
		c, err := g.client.DialPort(ctx, 80)
		must(t, err)
		must(t, c.SetDeadline(deadlineOf(t)))
		data := noise(1 << 20)
		go func() {
			c.Write(data)
			c.CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil || string(got) != string(data)+"bye" {
			t.Errorf("echo: %d bytes, %v", len(got), err)
		}
		c.Close()
	}
	if _, err := g.client.DialPort(ctx, 81); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a port on which nobody listens: %v", err)
	}
	must(t, server.Signal(ctx, 9, false))
	_, err = server.Wait(ctx)
	must(t, err)
	if _, err := g.client.DialPort(ctx, 80); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a port whose server has ended: %v", err)
	}
}

func (g *guest) testMounts(t *testing.T) {
	g.want(t, "stat -c %a /data/inner /tmp", "700\n1777")
	g.want(t, "grep -c ' /data tmpfs rw,nodev,noexec' /proc/mounts; grep -c ' /data/inner tmpfs rw.*size=1024k' /proc/mounts", "1\n1")
	if r := g.shell(t, "head -c 2m /dev/zero > /data/inner/x"); r.Code == 0 {
		t.Error("more fits than the mount's size")
	}
}

// testMemory comes last: its mark stays.
func (g *guest) testMemory(t *testing.T) {
	if r := g.run(t, &api.Process{Args: []string{"probe", "memory", "16777216"}}, nil); r.Code != 0 || r.OOMKilled {
		t.Errorf("16 MiB of 64: %+v", r)
	}
	r := g.run(t, &api.Process{Args: []string{"probe", "memory", "134217728"}}, nil)
	if r.Code != 137 || r.Signal != 9 || !r.OOMKilled {
		t.Errorf("128 MiB of 64: %+v", r)
	}
	if r := g.shell(t, "probe memory 134217728; exit 4"); r.Code != 4 || !r.OOMKilled {
		t.Errorf("a child that took too much: %+v", r)
	}
	if r := g.shell(t, "kill -9 $$"); r.OOMKilled {
		t.Errorf("killed by a signal: %+v", r)
	}
	g.want(t, "echo alive", "alive")
}

// TestHostileImage boots a read-only root whose links try to lead vminitd out
// of it.
func TestHostileImage(t *testing.T) {
	image := newImage(t, func(dir string) {
		must(t, os.RemoveAll(filepath.Join(dir, "etc/hosts")))
		for name, to := range map[string]string{
			"dev": "../../../run", "proc": "/inside/proc", "etc/resolv.conf": "../../../../../run/made/resolv.conf",
			"etc/hosts": "/run/container/files/hostname", "etc/hostname": "hostname2", "mnt": "/../../tmp",
		} {
			must(t, os.Symlink(to, filepath.Join(dir, name)))
		}
		must(t, os.MkdirAll(filepath.Join(dir, "run"), 0o755))
	})
	g := boot(t, bootOptions{image: image, configure: func(r *api.ConfigureRequest) {
		r.Container.Root.ReadOnly = true
		r.Container.Names.Nameservers = []string{"10.1.1.1"}
		r.Container.Mounts = []*api.Mount{{Type: "tmpfs", Source: "tmpfs", Target: "/mnt/../mnt/deep/er", Options: []string{"size=1m"}}}
	}})
	g.want(t, "cat /etc/hostname /etc/resolv.conf; tail -n 1 /etc/hosts", "islet\nnameserver 10.1.1.1\n::1\tlocalhost ip6-localhost ip6-loopback")
	g.want(t, "test -c /run/null && test -d /inside/proc/self && echo inside", "inside")
	g.want(t, "grep -c ' /tmp/deep/er tmpfs' /proc/mounts", "1")
	for _, path := range []string{"/x", "/etc/x", "/tmp/x"} {
		if r := g.shell(t, "echo x > "+path); r.Code == 0 || !strings.Contains(r.err, "Read-only") {
			t.Errorf("write %s: %+v", path, r)
		}
	}
	g.want(t, "echo x > /tmp/deep/er/x && echo x > /dev/shm/x && echo writable", "writable")
	if e := g.refused(t, &api.Process{Args: []string{"true"}, Cwd: "/not/there"}); e.Reason != reason.Directory {
		t.Errorf("a directory that cannot be made: %+v", e)
	}
	if r := g.run(t, &api.Process{Args: []string{"tty"}, Terminal: true}, nil); !strings.Contains(r.out, "pts/") {
		t.Errorf("terminal: %+v", r)
	}
	g.shutDown(t)
}

// TestPrivileged runs a container's first process at a terminal, with all
// rights, to its own end.
func TestPrivileged(t *testing.T) {
	g := boot(t, bootOptions{image: newImage(t, nil), stdio: agent.Stdio{Stdin: true, Stdout: true},
		configure: func(r *api.ConfigureRequest) {
			r.Container.Process = &api.Process{Args: []string{"sh"}, Terminal: true, Privileged: true, Env: []string{"PS1=> "}, Rows: 24, Columns: 80}
		}})
	r := g.run(t, &api.Process{Privileged: true, Args: []string{"sh", "-c", `set -e
		mount -t tmpfs x /tmp; umount /tmp; echo 3 > /proc/sys/vm/drop_caches; mkdir /sys/fs/cgroup/mine
		test -b /dev/vda; head -c 1 /dev/vda > /dev/null; head -c 1 /dev/kmsg > /dev/null; ls /sys/firmware > /dev/null; grep -q 'CapEff:.*1ffffffffff' /proc/self/status; echo all`}}, nil)
	if r.out != "all\n" {
		t.Errorf("privileged: %+v", r)
	}
	// Of what a privileged process did to the machine, vminitd sees nothing.
	g.want(t, "rm -f /dev/null /dev/vda; ls /dev | grep -c -E '^(null|vda)$' ; true", "0")
	s := &session{t, g.init, bufio.NewReader(g.init.Stdout)}
	s.send("echo written > /file; echo pid $$\n")
	s.until("pid 1\r\n")
	late := g.create(t, &api.Process{Args: []string{"true"}}, agent.Stdio{})
	s.send("exit 6\n")
	e, err := g.init.Wait(deadline(t))
	if err != nil || e.Code != 6 {
		t.Errorf("%+v %v", e, err)
	}
	if err := late.Start(deadline(t)); err == nil {
		t.Error("a process began after the container's end")
	}
	if _, err := g.client.CreateProcess(deadline(t), &api.Process{Id: "x", Args: []string{"true"}}, agent.Stdio{}); err == nil {
		t.Error("a process was made after the container's end")
	}
	if _, err := g.client.Configure(deadline(t), configuration(), agent.Stdio{}); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("second Configure: %v", err)
	}
	g.shutDown(t)
}

// TestConfigureFails wants errors that say what is wrong.
func TestConfigureFails(t *testing.T) {
	image := newImage(t, nil)
	for name, test := range map[string]struct {
		change func(*api.ConfigureRequest)
		want   string
	}{
		"no such disk":      {func(r *api.ConfigureRequest) { r.Container.Root.ImageDisk = "other" }, `"other"`},
		"no such interface": {func(r *api.ConfigureRequest) { r.Interfaces = []*api.Interface{{Name: "eth7"}} }, "eth7"},
		"no such sysctl":    {func(r *api.ConfigureRequest) { r.Container.Sysctls = map[string]string{"kernel.nothing": "1"} }, "kernel.nothing"},
		"no such mount":     {func(r *api.ConfigureRequest) { r.Container.Mounts = []*api.Mount{{Type: "nofs", Target: "/x"}} }, "nofs"},
	} {
		t.Run(name, func(t *testing.T) {
			g := connect(t, bootOptions{image: image})
			r := configuration()
			test.change(r)
			if _, err := g.client.Configure(deadline(t), r, agent.Stdio{Stdout: true}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("configure: %v, want %s", err, test.want)
			}
			g.shutDown(t)
		})
	}
}

// socketPair makes a network interface with nobody at its other end.
func socketPair(t *testing.T) *os.File {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return theirs
}

func deadlineOf(t *testing.T) time.Time {
	d, _ := deadline(t).Deadline()
	return d
}
