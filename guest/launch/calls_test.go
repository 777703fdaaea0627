//go:build linux

package launch

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
)

// testCgroup returns a control group of the test's own.
func testCgroup(t *testing.T) int {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("control groups are root's: run the test as root")
	}
	hierarchy := t.TempDir()
	if err := unix.Mount("cgroup2", hierarchy, "cgroup2", 0, ""); err != nil {
		t.Skipf("this system has no control groups of version 2: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(hierarchy, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	dir, err := os.MkdirTemp(hierarchy, "launch-test-")
	if err != nil {
		t.Skipf("control groups cannot be made: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return int(f.Fd())
}

// execute appends execve(2) as the last call.
func execute(c *calls, args ...string) {
	c.add("execute", unix.SYS_EXECVE, c.text(args[0]), c.texts(args), c.texts([]string{"A=1", "B=2"}))
}

// end waits for a process and returns its exit status.
func end(t *testing.T, pid, pidfd int) int {
	t.Helper()
	var status unix.WaitStatus
	if err := unix.Waitid(unix.P_PIDFD, pidfd, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Errorf("wait by pidfd %d: %v", pidfd, err)
	}
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := unix.Close(pidfd); err != nil {
		t.Errorf("close pidfd: %v", err)
	}
	return status.ExitStatus()
}

func TestForkExecutes(t *testing.T) {
	group := testCgroup(t)
	out := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := &calls{}
	c.add("session", unix.SYS_SETSID)
	c.add("stdout", unix.SYS_DUP3, f.Fd(), 1, 0)
	var none unix.Sigset_t
	c.keep = append(c.keep, &none)
	c.add("unblock signals", unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&none)), 0, kernelSigset)
	execute(c, "/bin/sh", "-c", `echo "$0 $A$B"; grep SigBlk /proc/self/status; exit 3`, "two words")
	pid, pidfd, err := c.fork(group)
	if err != nil {
		t.Fatal(err)
	}
	if code := end(t, pid, pidfd); code != 3 {
		t.Errorf("exit status %d, want 3", code)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if want := "two words 12\nSigBlk:\t0000000000000000\n"; string(got) != want {
		t.Errorf("it wrote %q, want %q", got, want)
	}
}

func TestForkTellsWhichCallFailed(t *testing.T) {
	group := testCgroup(t)
	for name, test := range map[string]struct {
		fill  func(*calls)
		what  string
		errno error
	}{
		"execve": {func(c *calls) { execute(c, "/nonesuch") }, "execute", unix.ENOENT},
		"one before": {func(c *calls) {
			c.add("take nothing", unix.SYS_DUP3, 1<<20, 1, 0)
			execute(c, "/bin/true")
		}, "take nothing", unix.EBADF},
		"mount": {func(c *calls) {
			c.mount("none", "/nonesuch", "tmpfs", 0, "")
			execute(c, "/bin/true")
		}, "mount /nonesuch", unix.ENOENT},
	} {
		c := &calls{}
		test.fill(c)
		_, pidfd, err := c.fork(group)
		var ce *callError
		if !errors.As(err, &ce) || ce.what != test.what || !errors.Is(err, test.errno) || pidfd != -1 {
			t.Errorf("%s: got %v, want %q failed with %v", name, err, test.what, test.errno)
		}
		unix.Wait4(-1, nil, 0, nil) // it has ended by itself
	}
	if _, _, err := (&calls{}).fork(-1); err == nil || !strings.Contains(err.Error(), "fork") {
		t.Errorf("without a control group: %v", err)
	}
}

// TestForkMany forks while the garbage collector and other threads are busy.
func TestForkMany(t *testing.T) {
	group := testCgroup(t)
	stop := make(chan struct{})
	defer close(stop)
	for range 2 {
		go func() {
			var keep [][]byte
			for {
				select {
				case <-stop:
					return
				default:
					keep = append(keep[max(0, len(keep)-100):], make([]byte, 10_000))
				}
			}
		}()
	}
	for range 100 {
		c := &calls{}
		execute(c, "/bin/true")
		pid, pidfd, err := c.fork(group)
		if err != nil {
			t.Fatal(err)
		}
		if code := end(t, pid, pidfd); code != 0 {
			t.Fatalf("exit status %d", code)
		}
	}
}

// TestForkRestricted has a process take on limits, capabilities and a filter.
func TestForkRestricted(t *testing.T) {
	group := testCgroup(t)
	out := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// if (number == SYS_setsid) return ERRNO(EOPNOTSUPP); return ALLOW;
	filter, err := binary.Append(nil, binary.NativeEndian, []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, {Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_SETSID},
		{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EOPNOTSUPP)}, {Code: unix.BPF_RET, K: unix.SECCOMP_RET_ALLOW}})
	if err != nil {
		t.Fatal(err)
	}
	c := &calls{}
	c.add("stdout", unix.SYS_DUP3, f.Fd(), 1, 0)
	setLimits(c, []*api.Rlimit{{Resource: unix.RLIMIT_NOFILE, Soft: 33, Hard: 44}})
	setFilter(c, filter)
	identity{uid: 1234, gid: 1234, groups: []int{1234}}.assume(c, true)
	const kill = 1 << unix.CAP_KILL
	setCapabilities(c, &api.Capabilities{Effective: kill, Permitted: kill, Inheritable: kill, Ambient: kill})
	execute(c, "/bin/sh", "-c", "ulimit -n; ulimit -Hn; grep -E 'CapEff|CapAmb|Seccomp:|^Uid' /proc/self/status | tr -s '\\t' ' '")
	pid, pidfd, err := c.fork(group)
	if err != nil {
		t.Fatal(err)
	}
	end(t, pid, pidfd)
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if want := "33\n44\nUid: 1234 1234 1234 1234\nCapEff: 0000000000000020\nCapAmb: 0000000000000020\nSeccomp: 2\n"; string(got) != want {
		t.Errorf("it wrote %q, want %q", got, want)
	}
	c = &calls{}
	setFilter(c, filter)
	c.add("session", unix.SYS_SETSID)
	execute(c, "/bin/true")
	if _, _, err := c.fork(group); !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("what the filter refuses: %v", err)
	}
	unix.Wait4(-1, nil, 0, nil)
}
