//go:build linux

package agent_test

import (
	"bytes"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/engine/agent"
	"github.com/skerry-app/skerry/engine/seccomp"
	"github.com/skerry-app/skerry/guest/api"
)

// TestPrivileges gives processes more or less than the usual rights and limits.
// Numbers are those of Apple's scenarios.
func TestPrivileges(t *testing.T) {
	g := boot(t, bootOptions{image: newImage(t, nil), stdio: agent.Stdio{Stdout: true}, configure: func(r *api.ConfigureRequest) {
		r.Container.Resources = &api.Resources{MemoryBytes: 128 << 20, MemoryLowBytes: 16 << 20, CpuWeight: 39, Cpus: "0", MemoryNodes: "0",
			Io: []*api.IOLimit{{Device: "/dev/vdc", WriteBytes: 8 << 20, ReadOperations: 5000}}}
		r.Container.ShmBytes = 1 << 20
		r.Container.MaskedPaths = &api.Paths{Paths: []string{"/opt/plain", "/home/anna", "/proc/uptime", "/no/such/path"}}
		r.Container.ReadOnlyPaths = &api.Paths{Paths: []string{"/opt", "/proc/sys/net"}}
		r.Container.Devices = []*api.Device{{Source: "/dev/net", Target: "/dev/net", Access: "rwm"}, {Source: "/dev/vdc", Target: "/dev/scratch", Access: "r"}}
		r.Container.DeviceRules = []string{"c 10:229 r"}
		r.Container.Mounts = []*api.Mount{{Type: "tmpfs", Source: "tmpfs", Target: "/root"}, {Type: "tmpfs", Source: "tmpfs", Target: "/fresh"}}
		r.Container.Process.OomScoreAdj, r.Container.Process.Init = 77, true
		r.Container.Process.Args = []string{"sh", "-c", "while :; do sleep 3600; done"}
	}})
	for _, test := range []struct {
		name string
		run  func(*guest, *testing.T)
	}{
		{"capabilities", (*guest).testCapabilities},
		{"seccomp 75 76 77", (*guest).testSeccomp},
		{"rlimits 64 65 66", (*guest).testRlimits},
		{"paths 27", (*guest).testPaths},
		{"devices", (*guest).testDevices},
		{"groups", (*guest).testGroups},
		{"init 69 70", (*guest).testInit},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(g, t) })
	}
	must(t, g.init.Signal(deadline(t), int(unix.SIGTERM), false))
	e, err := g.init.Wait(deadline(t))
	if err != nil || e.Code != 143 || e.Signal != 0 { // the init itself has exited
		t.Errorf("after SIGTERM: %+v %v", e, err)
	}
	g.shutDown(t)
}

// capable runs a command with capabilities as the bounding set.
func (g *guest) capable(t *testing.T, capabilities uint64, command string) result {
	t.Helper()
	return g.run(t, &api.Process{Args: []string{"sh", "-c", command}, Capabilities: &api.Capabilities{Bounding: capabilities}}, nil)
}

func (g *guest) testCapabilities(t *testing.T) {
	for _, test := range []struct {
		name, command string
		capability    uint64
	}{
		{"sys admin 22", "mount -t tmpfs tmpfs /tmp && umount /tmp", 1 << unix.CAP_SYS_ADMIN},
		{"net admin 23", "ip link set lo down && ip link set lo up", 1 << unix.CAP_NET_ADMIN},
		{"chown 26", "touch /tmp/x && chown 1000:1000 /tmp/x && rm /tmp/x", 1 << unix.CAP_CHOWN},
		{"all 25", "mount -t tmpfs tmpfs /tmp && umount /tmp && ip link set lo down && ip link set lo up", math.MaxUint64},
	} {
		t.Run(test.name, func(t *testing.T) {
			if r := g.capable(t, 0, test.command); r.Code == 0 {
				t.Error("it worked without")
			}
			if r := g.capable(t, test.capability, test.command); r.Code != 0 {
				t.Errorf("%+v", r)
			}
		})
	}
	const file = 1 << unix.CAP_DAC_OVERRIDE
	const kill = 1 << unix.CAP_KILL
	for _, test := range []struct {
		user string
		caps *api.Capabilities
		want string // inheritable, permitted, effective, bounding, ambient
	}{
		{"", &api.Capabilities{Bounding: file}, "0 2 2 2 0"},
		{"anna", &api.Capabilities{Bounding: file}, "0 0 0 2 0"},
		{"anna", &api.Capabilities{Bounding: file | kill, Permitted: file, Effective: file}, "0 0 0 22 0"},
		{"anna", &api.Capabilities{Bounding: file | kill, Permitted: file, Effective: file, Inheritable: file, Ambient: file}, "2 2 2 22 2"},
		{"", &api.Capabilities{Bounding: file | kill, Inheritable: kill, Permitted: kill}, "20 22 22 22 0"},
	} {
		p := &api.Process{User: test.user, Capabilities: test.caps, Args: []string{"sh", "-c", "grep Cap /proc/self/status"}}
		var sets []string
		for _, f := range strings.Fields(g.run(t, p, nil).out) {
			if !strings.HasPrefix(f, "Cap") {
				sets = append(sets, strings.TrimLeft(f[:15], "0")+f[15:])
			}
		}
		if got := strings.Join(sets, " "); got != test.want {
			t.Errorf("%q, %v: %s, want %s", test.user, test.caps, got, test.want)
		}
	}
}

func (g *guest) testSeccomp(t *testing.T) {
	filter := func(text string, capabilities ...string) []byte {
		f, err := seccomp.Compile(text, runtime.GOARCH, func(c string) bool { return strings.Contains(strings.Join(capabilities, " "), c) })
		must(t, err)
		return f
	}
	usual := filter(seccomp.Default)
	run := func(command string, p *api.Process) result {
		p.Args = []string{"sh", "-c", command}
		return g.run(t, p, nil)
	}
	const all = math.MaxUint64
	if r := run("mount -t tmpfs x /tmp", &api.Process{Seccomp: usual, Capabilities: &api.Capabilities{Bounding: all}}); r.Code == 0 {
		t.Error("mount was not filtered")
	}
	if r := run("mount -t tmpfs x /tmp && umount /tmp", &api.Process{Seccomp: filter(seccomp.Default, "CAP_SYS_ADMIN"), Capabilities: &api.Capabilities{Bounding: all}}); r.Code != 0 {
		t.Errorf("mount with CAP_SYS_ADMIN: %+v", r)
	}
	if r := run("unshare -U true", &api.Process{}); r.Code != 0 {
		t.Errorf("a user namespace without a filter: %+v", r)
	}
	if r := run("unshare -U true", &api.Process{Seccomp: usual}); r.Code == 0 {
		t.Error("a user namespace was made through the filter")
	}
	for _, p := range []*api.Process{{Seccomp: usual}, {Seccomp: usual, User: "anna"}, {Seccomp: usual, User: "anna", NoNewPrivileges: true}} {
		who := "0"
		if p.User != "" {
			who = "1000"
		}
		r := run("id -u; grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | cut -f 2; echo x | cat; sleep 0", p)
		nnp := map[bool]string{true: "1", false: "0"}[p.NoNewPrivileges]
		if r.out != who+"\n"+nnp+"\n2\nx\n" {
			t.Errorf("%v: %+v", p.User, r)
		}
	}
	if r := run("probe memory 1000000", &api.Process{Seccomp: usual}); r.Code != 0 {
		t.Errorf("a program of Go's: %+v", r)
	}
	only := filter(`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}`)
	if r := run("mkdir /tmp/x", &api.Process{Seccomp: only}); r.Code == 0 || !strings.Contains(r.err, "No space") {
		t.Errorf("a profile of one's own: %+v", r)
	}
	if _, err := g.client.CreateProcess(deadline(t), &api.Process{Id: "x", Args: []string{"true"}, Seccomp: []byte("short")}, agent.Stdio{}); err == nil {
		t.Error("a broken filter was accepted")
	}
}

func (g *guest) testRlimits(t *testing.T) {
	limits := []*api.Rlimit{{Resource: unix.RLIMIT_NOFILE, Soft: 256, Hard: 512}, {Resource: unix.RLIMIT_STACK, Soft: 8 << 20, Hard: 16 << 20},
		{Resource: unix.RLIMIT_CORE}, {Resource: unix.RLIMIT_FSIZE, Soft: math.MaxUint64, Hard: math.MaxUint64}}
	p := &api.Process{User: "anna", Rlimits: limits, Args: []string{"sh", "-c", "ulimit -n; grep -E 'open|stack|core|file size' /proc/self/limits | tr -s ' '"}}
	want := "256\nMax file size unlimited unlimited bytes \nMax stack size 8388608 16777216 bytes \nMax core file size 0 0 bytes \nMax open files 256 512 files \n"
	if r := g.run(t, p, nil); r.out != want {
		t.Errorf("%+v", r)
	}
	p = &api.Process{Args: []string{"true"}, Rlimits: []*api.Rlimit{{Resource: unix.RLIMIT_NOFILE, Soft: 2, Hard: 1}}}
	made := g.create(t, p, agent.Stdio{})
	if err := made.Start(deadline(t)); err == nil || !strings.Contains(err.Error(), "resource limit 7 to 2:1") {
		t.Errorf("a wrong limit: %v", err)
	}
	mask := uint32(0o077)
	if r := g.run(t, &api.Process{Umask: &mask, Args: []string{"sh", "-c", "umask"}}, nil); r.out != "0077\n" {
		t.Errorf("umask: %+v", r)
	}
	if r := g.run(t, &api.Process{OomScoreAdj: -500, Args: []string{"cat", "/proc/self/oom_score_adj"}}, nil); r.out != "-500\n" {
		t.Errorf("OOM score: %+v", r)
	}
	g.want(t, "cat /proc/self/oom_score_adj /proc/1/oom_score_adj", "0\n77")
}

func (g *guest) testPaths(t *testing.T) {
	g.want(t, "cat /opt/plain /proc/uptime; ls -A /home/anna", "")
	for _, command := range []string{"touch /home/anna/x", "touch /opt/x", "echo 1 > /proc/sys/net/core/somaxconn"} {
		if r := g.shell(t, command); r.Code == 0 || !strings.Contains(r.err, "Read-only file system") {
			t.Errorf("%s: %+v", command, r)
		}
	}
	g.want(t, "/opt/tools/hello", "hello from tools") // no more than read-only
	// What was asked for is all.
	g.want(t, "echo 4321 > /proc/sys/kernel/msgmax; cat /proc/sys/kernel/msgmax", "4321")
	g.want(t, "df -k /dev/shm | awk 'END {print $2}'; stat -c %a /root /fresh", "1024\n755\n1777")
}

func (g *guest) testDevices(t *testing.T) {
	g.want(t, "stat -c '%F %t:%T' /dev/net/tun /dev/scratch", "character special file a:c8\nblock special file fe:20")
	g.want(t, "head -c 1024 /dev/scratch | wc -c; head -c 1 /dev/zero | wc -c; true < /dev/net/tun && echo tun", "1024\n1\ntun")
	r := g.shell(t, "mknod /tmp/node b 254 0 && mknod /tmp/kmsg c 1 11 && mknod /tmp/fuse c 10 229")
	if r.Code != 0 {
		t.Errorf("make nodes: %+v", r)
	}
	for _, command := range []string{"echo x > /dev/scratch", "head -c 1 /tmp/node", "head -c 1 /tmp/kmsg", ": > /tmp/fuse"} {
		r := g.run(t, &api.Process{Privileged: true, Args: []string{"sh", "-c", command}}, nil)
		if r.Code == 0 || !strings.Contains(r.err, "Operation not permitted") {
			t.Errorf("%s: %+v", command, r)
		}
	}
	if r := g.shell(t, ": < /tmp/fuse"); strings.Contains(r.err, "not permitted") {
		t.Errorf("a device that a rule allows: %+v", r)
	}
}

func (g *guest) testGroups(t *testing.T) {
	g.want(t, "cd /sys/fs/cgroup; cat memory.low cpu.weight cpuset.cpus cpuset.mems", "16777216\n39\n0\n0")
	g.want(t, "cut -d ' ' -f 2- /sys/fs/cgroup/io.max", "rbps=max wbps=8388608 riops=5000 wiops=max")
}

func (g *guest) testInit(t *testing.T) {
	g.want(t, "tr '\\0' ' ' < /proc/1/cmdline | cut -c 1-20", "skerry-init /bin/sh ")
	// Orphans are its children, and it collects them.
	g.want(t, "(sleep 0.1 & sleep 0.1 &); sleep 1; grep -l '^State:.*zombie' /proc/[0-9]*/status | wc -l", "0")
	t.Logf("the init's memory: %s", g.shell(t, "grep -E 'VmRSS|RssAnon|Threads' /proc/1/status; cat /sys/fs/cgroup/pids.current").out)
}

// TestInit runs first processes below an init to their ends.
func TestInit(t *testing.T) {
	image := newImage(t, nil)
	run := func(p *api.Process, talk func(*agent.Process, *bytes.Buffer)) (result, error) {
		t.Helper()
		g := connect(t, bootOptions{image: image})
		r := configuration()
		r.Container.Process, p.Init = p, true
		first, err := g.client.Configure(deadline(t), r, agent.Stdio{Stdin: true, Stdout: true})
		must(t, err)
		if err := first.Start(deadline(t)); err != nil {
			return result{}, err
		}
		var out bytes.Buffer
		talk(first, &out)
		first.Stdin.CloseWrite()
		io.Copy(&out, first.Stdout)
		e, err := first.Wait(deadline(t))
		must(t, err)
		g.shutDown(t)
		return result{Exit: e, out: out.String()}, nil
	}
	r, err := run(&api.Process{Args: []string{"sh", "-c", "cat; echo hello from init; exit 42"}, User: "anna"},
		func(p *agent.Process, _ *bytes.Buffer) { io.WriteString(p.Stdin, "input through init\n") })
	if err != nil || r.out != "input through init\nhello from init\n" || r.Code != 42 {
		t.Errorf("%+v %v", r, err)
	}
	r, err = run(&api.Process{Args: []string{"sh", "-c", "trap 'echo once; exit 7' INT; tty && echo has tty; while :; do sleep 0.1; done"}, Terminal: true},
		func(p *agent.Process, out *bytes.Buffer) {
			for !strings.Contains(out.String(), "has tty") {
				if _, err := io.CopyN(out, p.Stdout, 1); err != nil {
					t.Fatal(err)
				}
			}
			io.WriteString(p.Stdin, "\x03")
		})
	if err != nil || strings.Count(r.out, "once") != 1 || r.Code != 7 {
		t.Errorf("with a terminal: %+v %v", r, err)
	}
	if _, err = run(&api.Process{Args: []string{"/opt/garbage"}}, nil); err == nil || !strings.Contains(err.Error(), "exec format error") {
		t.Errorf("a program that is none: %v", err)
	}
}
