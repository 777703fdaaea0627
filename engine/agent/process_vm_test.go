//go:build linux

package agent_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/engine/agent"
	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/api/reason"
)

// TestContainer runs many processes in one container.
func TestContainer(t *testing.T) {
	g := boot(t, bootOptions{image: newImage(t, nil)})
	for _, test := range []struct {
		name string
		run  func(*guest, *testing.T)
	}{
		{"exit", (*guest).testExit},
		{"user", (*guest).testUser},
		{"directory", (*guest).testDirectory},
		{"program", (*guest).testProgram},
		{"environment", (*guest).testEnvironment},
		{"signals", (*guest).testSignalState},
		{"namespaces", (*guest).testNamespaces},
		{"files", (*guest).testFiles},
		{"protection", (*guest).testProtection},
		{"input", (*guest).testInput},
		{"output 18", (*guest).testOutput},
		{"parallel 140 141", (*guest).testParallel},
		{"stat 28", (*guest).testStat},
		{"inherited streams", (*guest).testInheritedStreams},
		{"unexpected stream", (*guest).testUnexpectedStream},
		{"vsock", (*guest).testVsock},
		{"terminal", (*guest).testTerminal},
		{"terminal at its end", (*guest).testTerminalEnd},
		{"delete 20", (*guest).testDelete},
		{"wait", (*guest).testWait},
		{"concurrent use", (*guest).testConcurrentUse},
		{"orphans", (*guest).testOrphans},
		{"list", (*guest).testList},
		{"signal all", (*guest).testSignalAll},
		{"leaks", (*guest).testLeaks},
		{"frozen for too long", (*guest).testFrozenTooLong},
	} {
		if !t.Run(test.name, func(t *testing.T) { test.run(g, t) }) && len(g.ended()) > 0 {
			t.Fatal(g.ended())
		}
	}
	g.shutDown(t)
}

// ended says that the machine is gone.
func (g *guest) ended() string {
	select {
	case <-g.machine.Done():
		return fmt.Sprint("the machine ended: ", g.machine.Err())
	default:
		return ""
	}
}

func (g *guest) testExit(t *testing.T) {
	g.want(t, "echo hello", "hello")
	for _, test := range []struct {
		command      string
		code, signal int
	}{{"exit 0", 0, 0}, {"exit 3", 3, 0}, {"exit 255", 255, 0}, {"kill -9 $$", 137, 9}, {"kill -15 $$", 143, 15}} {
		r := g.shell(t, test.command)
		if r.Code != test.code || r.Signal != test.signal || r.OOMKilled || r.At.IsZero() {
			t.Errorf("%s: %+v", test.command, r.Exit)
		}
	}
	p := g.start(t, &api.Process{Args: []string{"sleep", "1000"}}, agent.Stdio{})
	ctx := deadline(t)
	must(t, p.Signal(ctx, 15, false))
	e, err := p.Wait(ctx)
	must(t, err)
	if e.Code != 143 || e.Signal != 15 {
		t.Errorf("after SIGTERM: %+v", e)
	}
	must(t, p.Signal(ctx, 15, false)) // it has ended: no error
}

func (g *guest) testUser(t *testing.T) {
	for _, test := range []struct {
		user   string
		groups []string
		want   string
	}{
		{"", nil, "0:0 0"}, {"root", nil, "0:0 0"}, {"anna", nil, "1000:100 29,100"}, {"1000", nil, "1000:100 29,100"},
		{"anna:audio", nil, "1000:29 29"}, {"4242", nil, "4242:0 0"}, {"4242:4343", nil, "4242:4343 4343"},
		{"0:anna", nil, "?"}, {"nobody", []string{"audio", "777"}, "65534:65534 29,777,65534"},
	} {
		p := &api.Process{Args: []string{"sh", "-c", "echo $(id -u):$(id -g) $(id -G)"}, User: test.user, Groups: test.groups}
		if test.want == "?" {
			if e := g.refused(t, p); e.Reason != reason.User {
				t.Errorf("user %q: %+v", test.user, e)
			}
			continue
		}
		ids, groups, _ := strings.Cut(strings.TrimSpace(g.run(t, p, nil).out), " ")
		list := strings.Fields(groups)
		slices.SortFunc(list, func(a, b string) int { return len(a)*1e6 - len(b)*1e6 + strings.Compare(a, b) })
		if got := ids + " " + strings.Join(slices.Compact(list), ","); got != test.want {
			t.Errorf("user %q, groups %q: got %q, want %q", test.user, test.groups, got, test.want)
		}
	}
	for _, user := range []string{"mallory", "root:mallory"} {
		e := g.refused(t, &api.Process{Args: []string{"true"}, User: user})
		if e.Reason != reason.User || !strings.Contains(e.Text, "mallory") {
			t.Errorf("user %q: %+v", user, e)
		}
	}
	if e := g.refused(t, &api.Process{Args: []string{"true"}, Groups: []string{"mallory"}}); e.Reason != reason.User {
		t.Errorf("unknown group: %+v", e)
	}
}

func (g *guest) testDirectory(t *testing.T) {
	for cwd, want := range map[string]string{"": "/", "/tmp": "/tmp", "/tmp/made/for/it": "/tmp/made/for/it"} {
		r := g.run(t, &api.Process{Args: []string{"pwd"}, Cwd: cwd}, nil)
		if r.out != want+"\n" {
			t.Errorf("cwd %q: %q %q", cwd, r.out, r.err)
		}
	}
	if e := g.refused(t, &api.Process{Args: []string{"pwd"}, Cwd: "/etc/passwd"}); e.Reason != reason.Directory {
		t.Errorf("a file as directory: %+v", e)
	}
}

func (g *guest) testProgram(t *testing.T) {
	for _, test := range []struct{ program, reason, text string }{
		{"no-such-program", reason.NotFound, "no-such-program"},
		{"/bin/no-such-program", reason.NotFound, "no such file"},
		{"/opt/orphan", reason.NotFound, "interpreter"},
		{"/etc/passwd/x", reason.NotFound, "/etc/passwd/x"},
		{"/opt/plain", reason.NotExecutable, "permission denied"},
		{"/opt", reason.NotExecutable, "is a directory"},
		{"/opt/garbage", reason.NotExecutable, "exec format error"},
	} {
		e := g.refused(t, &api.Process{Args: []string{test.program}})
		if e.Reason != test.reason || !strings.Contains(e.Text, test.text) {
			t.Errorf("%s: %+v, want %s", test.program, e, test.reason)
		}
	}
	// What is looked up is the container's PATH, as the process gets it.
	r := g.run(t, &api.Process{Args: []string{"hello"}, Env: []string{"PATH=/opt:/opt/tools:/bin"}}, nil)
	if r.out != "hello from tools\n" {
		t.Errorf("program in PATH: %+v", r)
	}
	if e := g.refused(t, &api.Process{Args: []string{"plain"}, Env: []string{"PATH=/opt"}}); e.Reason != reason.NotExecutable {
		t.Errorf("a file in PATH that is no program: %+v", e)
	}
	if e := g.refused(t, &api.Process{Args: []string{"sh"}, Env: []string{"PATH="}}); e.Reason != reason.NotFound {
		t.Errorf("empty PATH: %+v", e)
	}
	r = g.run(t, &api.Process{Args: []string{"./hello"}, Cwd: "/opt/tools"}, nil)
	if r.out != "hello from tools\n" {
		t.Errorf("program in the working directory: %+v", r)
	}
}

func (g *guest) testEnvironment(t *testing.T) {
	env := func(p *api.Process) string {
		p.Args = []string{"/bin/env"}
		lines := strings.Fields(g.run(t, p, nil).out)
		slices.Sort(lines)
		return strings.Join(lines, " ")
	}
	for _, p := range []*api.Process{{}, {Args: []string{""}}, {Args: []string{"a\x00b"}}, {Args: []string{"true"}, Env: []string{"A=\x00"}}, {Args: []string{"true"}, Rows: 1 << 16}} {
		p.Id = "wrong"
		if _, err := g.client.CreateProcess(deadline(t), p, agent.Stdio{}); err == nil {
			t.Errorf("%v was accepted", p)
		}
	}
	const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if got := env(&api.Process{}); got != "HOME=/root "+path {
		t.Errorf("defaults: %s", got)
	}
	if got := env(&api.Process{User: "anna", Env: []string{"A=1", "PATH=/x"}}); got != "A=1 HOME=/home/anna PATH=/x" {
		t.Errorf("with a user and PATH: %s", got)
	}
	if got := env(&api.Process{Terminal: true, Env: []string{"HOME=/h"}}); got != "HOME=/h "+path+" TERM=xterm" {
		t.Errorf("with a terminal: %s", got)
	}
	if got := env(&api.Process{Terminal: true, Env: []string{"TERM=vt100"}}); got != "HOME=/root "+path+" TERM=vt100" {
		t.Errorf("with a terminal and TERM: %s", got)
	}
}

// testSignalState wants nothing of vminitd's own settings in processes.
func (g *guest) testSignalState(t *testing.T) {
	g.want(t, "grep -E 'SigBlk|SigIgn' /proc/self/status | tr -d '\\n\\t '", "SigBlk:0000000000000000SigIgn:0000000000000000")
	g.want(t, "umask", "0022")
	g.want(t, "ls /proc/self/fd", "0\n1\n2\n3") // 3 is ls's own
	g.want(t, "ulimit -n", "1048576")
}

func (g *guest) testNamespaces(t *testing.T) {
	for _, ns := range []string{"pid", "mnt", "uts", "ipc", "cgroup", "net"} {
		r := g.shell(t, "readlink /proc/self/ns/"+ns+"; readlink /proc/1/ns/"+ns)
		lines := strings.Fields(r.out)
		if len(lines) != 2 || lines[0] != lines[1] {
			t.Errorf("%s: %q %q", ns, lines, r.err)
		}
	}
	g.want(t, "cat /proc/self/cgroup", "0::/")
	g.want(t, "cat /proc/1/comm", "sh") // not vminitd
	// A session of its own, so that no terminal of another's reaches it.
	g.want(t, "set -- $(cat /proc/self/stat); test $6 = $4 -o $6 = $1 && echo leader", "leader")
}

func (g *guest) testFiles(t *testing.T) {
	g.want(t, "hostname", "islet")
	g.want(t, "cat /etc/hostname", "islet")
	g.want(t, "cat /etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback")
	g.want(t, "for d in null zero full random urandom tty; do test -c /dev/$d || echo $d; done", "")
	g.want(t, "echo x > /dev/null; head -c 2 /dev/zero | wc -c; readlink /dev/stdout", "2\n/proc/self/fd/1")
	g.want(t, "stat -c %a /dev/null /dev/shm /tmp", "666\n1777\n755")
	// A user opens its own output by name.
	r := g.run(t, &api.Process{User: "anna", Args: []string{"sh", "-c", "echo out > /dev/stdout; echo err > /dev/stderr"}}, nil)
	if r.out != "out\n" || r.err != "err\n" {
		t.Errorf("a user's /dev/stdout: %+v", r)
	}
}

func (g *guest) testProtection(t *testing.T) {
	for _, command := range []string{
		"echo 1 > /proc/sys/vm/drop_caches", "echo b > /proc/sysrq-trigger", "mount -t tmpfs x /tmp", "umount /proc/sys",
		"mkdir /sys/fs/cgroup/mine", "echo max > /sys/fs/cgroup/pids.max", "hostname other", "date -s 2001-01-01 2> /dev/null; test $(date +%Y) = 2001",
		"mount -o remount,rw /sys", "reboot -f", "test -e /run/container", "test -s /proc/keys", "ls -d /sys/firmware/*",
	} {
		if r := g.shell(t, command); r.Code == 0 {
			t.Errorf("%s: worked: %q", command, r.out)
		}
	}
	g.want(t, "grep CapEff /proc/self/status | tr -d '\\t'", "CapEff:00000000a80425fb")
	g.want(t, "grep NoNewPrivs /proc/self/status | tr -d '\\t'", "NoNewPrivs:0")
	for _, test := range []struct {
		p    *api.Process
		want string
	}{
		{&api.Process{User: "anna"}, "CapPrm:0000000000000000 CapBnd:00000000a80425fb NoNewPrivs:0"},
		{&api.Process{NoNewPrivileges: true}, "CapPrm:00000000a80425fb CapBnd:00000000a80425fb NoNewPrivs:1"},
		{&api.Process{Privileged: true}, "CapPrm:000001ffffffffff CapBnd:000001ffffffffff NoNewPrivs:0"},
	} {
		test.p.Args = []string{"sh", "-c", "grep -E 'CapPrm|CapBnd|NoNewPrivs' /proc/self/status | tr -d '\\t'"}
		if got := strings.ReplaceAll(strings.TrimSpace(g.run(t, test.p, nil).out), "\n", " "); got != test.want {
			t.Errorf("%v: %s, want %s", test.p, got, test.want)
		}
	}
}

// testParallel runs many processes at once, each with data of its own.
func (g *guest) testParallel(t *testing.T) {
	const processes, size = 81, 20 << 20
	ctx := deadline(t)
	sum := strings.Fields(g.shell(t, fmt.Sprintf("head -c %d /dev/urandom > /tmp/noise; sha256sum /tmp/noise", size)).out)[0]
	var wg sync.WaitGroup
	for i := range processes {
		wg.Go(func() {
			p := g.start(t, &api.Process{Args: []string{"cat", "/tmp/noise"}}, agent.Stdio{Stdout: true})
			h := sha256.New()
			n, err := io.Copy(h, p.Stdout)
			e, werr := p.Wait(ctx)
			if got := hex.EncodeToString(h.Sum(nil)); n != size || got != sum || e.Code != 0 || err != nil || werr != nil {
				t.Errorf("process %d: %d bytes of %d, %s instead of %s, status %d, %v %v", i, n, size, got, sum, e.Code, err, werr)
			}
			must(t, p.Delete(ctx))
		})
	}
	wg.Wait()
	g.want(t, "rm /tmp/noise; echo gone", "gone")
}

func (g *guest) testStat(t *testing.T) {
	g.want(t, "mkdir -p /tmp/stat && cd /tmp/stat && echo hello world > file && ln -s file link && mkfifo fifo && echo made", "made")
	for _, test := range []struct {
		path string
		kind uint32
		size int64
		link string
	}{{"file", unix.S_IFREG, 12, ""}, {"", unix.S_IFDIR, -1, ""}, {"link", unix.S_IFLNK, -1, "/tmp/stat/file"}, {"fifo", unix.S_IFIFO, 0, ""}} {
		st, err := g.client.StatFile(deadline(t), "/tmp/stat/"+test.path)
		if err != nil || st.Mode&unix.S_IFMT != test.kind || test.size >= 0 && st.Size != test.size || st.LinkTarget != test.link {
			t.Errorf("%s: %v %v", test.path, st, err)
		}
	}
	if _, err := g.client.StatFile(deadline(t), "/tmp/stat/absent"); !errdefs.IsNotFound(err) {
		t.Errorf("what is not there: %v", err)
	}
}
