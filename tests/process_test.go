package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestProcessFlags asks for nearly all that a container's processes can be given
// and looks at it from inside. Numbers are those of Apple's scenarios.
func TestProcessFlags(t *testing.T) {
	eachClient(t, func(t *testing.T, a *app, client string) {
		name := "process-" + client
		a.ok(client, "run", "-d", "--name", name, "--init", "--read-only", "--tmpfs", "/run:size=1m,mode=700", "--tmpfs", "/work:exec",
			"--shm-size", "2m", "--cap-drop", "ALL", "--cap-add", "CHOWN", "--cap-add", "SYS_TIME", "--security-opt", "no-new-privileges",
			"--group-add", "2000", "--group-add", "777", "--ulimit", "nofile=1024:2048", "--ulimit", "core=0", "--sysctl", "net.core.somaxconn=4096",
			"--device", "/dev/fuse", "--device", "/dev/net/tun:/dev/tun:r", "--oom-score-adj", "123", "--pids-limit", "50", "--cpuset-cpus", "0",
			"--memory", "128m", "--memory-reservation", "32m", "--cpu-shares", "512", "--device-write-bps", "/dev/vdc:8mb",
			"--domainname", "example.test", "--hostname", "rock", "--dns", "8.8.8.8", "--dns", "8.8.4.4", "--dns-search", "a.test", "--dns-option", "ndots:2",
			"--add-host", "other:10.1.2.3", testImage, "sleep", "300")
		for _, check := range []struct{ what, script, want string }{
			{"capabilities", `grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f 2 | sort -u`, "0000000000000000\n0000000002000001\n"},
			{"no_new_privs 75 77", `grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | cut -f 2`, "1\n2\n"},
			{"seccomp", `unshare -U true 2> /dev/null || echo refused`, "refused\n"},
			{"groups", `id -G`, "0 777 2000\n"},
			{"limits 64 65 66", `ulimit -n; ulimit -H -n; ulimit -c`, "1024\n2048\n0\n"},
			{"sysctl 73", `cat /proc/sys/net/core/somaxconn`, "4096\n"},
			{"devices", `stat -c '%F %t:%T' /dev/fuse /dev/tun; (: > /dev/tun) 2> /dev/null || echo refused`, "character special file a:e5\ncharacter special file a:c8\nrefused\n"},
			{"tmpfs", `grep -E ' /(run|work|dev/shm) ' /proc/mounts | cut -d ' ' -f 2-4 | sed s/,inode64// | sort`,
				"/dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=2048k\n/run tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k,mode=700\n/work tmpfs rw,nosuid,nodev,relatime\n"},
			{"score", `cat /proc/self/oom_score_adj /proc/1/oom_score_adj`, "123\n123\n"},
			{"control group", `cd /sys/fs/cgroup; cat pids.max cpuset.cpus memory.max memory.low cpu.weight; cut -d ' ' -f 2- io.max`,
				"50\n0\n134217728\n33554432\n59\nrbps=max wbps=8388608 riops=max wiops=max\n"},
			{"names 12 46 47 56", `cat /etc/hostname /proc/sys/kernel/domainname /etc/resolv.conf; grep -E 'rock|other' /etc/hosts | cut -f 2`,
				"rock\nexample.test\nnameserver 8.8.8.8\nnameserver 8.8.4.4\nsearch a.test\noptions ndots:2\nrock.example.test rock\nother\n"},
			{"read-only root 45", `touch /file 2>&1; touch /work/file && echo work`, "touch: /file: Read-only file system\nwork\n"},
			{"paths 27", `echo x 2>&1 > /proc/sys/kernel/hostname; grep -c -E ' /(proc/keys|proc/interrupts|sys/firmware) ' /proc/self/mountinfo`,
				"sh: can't create /proc/sys/kernel/hostname: Read-only file system\n3\n"},
			{"init", `tr '\0' ' ' < /proc/1/cmdline`, "skerry-init /bin/sleep sleep 300 "},
			{"orphans 70", `(sleep 0.1 & sleep 0.1 &); sleep 1; grep -l zombie /proc/[0-9]*/status | wc -l`, "0\n"},
		} {
			t.Run(check.what, func(t *testing.T) {
				if out := a.with(t).ok(client, "exec", name, "sh", "-c", check.script); out != check.want {
					t.Errorf("%q, want %q", out, check.want)
				}
			})
		}
		if out := a.ok(client, "exec", "--privileged", name, "sh", "-c", "mount -o remount,rw / && unshare -U true && echo all"); out != "all\n" {
			t.Errorf("a privileged exec: %q", out)
		}
		want := "[CAP_CHOWN CAP_SYS_TIME] [ALL] true 2097152 1024:2048 50 map[net.core.somaxconn:4096] [no-new-privileges] /dev/fuse example.test\n"
		if out := a.ok(client, "inspect", "-f", `{{with .HostConfig}}{{.CapAdd}} {{.CapDrop}} {{.Init}} {{.ShmSize}} {{range .Ulimits}}{{if eq .Name "nofile"}}{{.Soft}}:{{.Hard}}{{end}}{{end}} `+
			`{{.PidsLimit}} {{.Sysctls}} {{.SecurityOpt}} {{(index .Devices 0).PathOnHost}}{{end}} {{.Config.Domainname}}`, name); out != want {
			t.Errorf("inspect: %q, want %q", out, want)
		}
		t.Run("init forwards signals 69", func(t *testing.T) {
			a := a.with(t)
			a.ok(client, "kill", "-s", "TERM", name)
			if status := a.ok(client, "wait", name); status != "143\n" {
				t.Errorf("it ended with %q", status)
			}
		})
		a.ok(client, "rm", name)
	})
}

// TestProcessScenarios has Apple's scenarios of first processes that are not
// above, each with its number.
func TestProcessScenarios(t *testing.T) {
	a := shared(t)
	large, binary := strings.Repeat("large stdin ", 128<<10/12), string(pattern("in"))+"\x00\xff\r\n"
	for _, test := range []struct {
		name, flags string
		args        []string
		stdin       string
		stdout      string
		code        int
	}{
		{"true 1 16", "-m 250000000", []string{"true"}, "", "", 0},
		{"false 2", "", []string{"false"}, "", "", 1},
		{"echo 3 24", "", []string{"echo", "hi"}, "", "hi\n", 0},
		{"no executable 4", "", []string{"foobarbaz"}, "", "", 127},
		{"user 5", "-u 40000:40000", []string{"id"}, "", "uid=40000 gid=40000 groups=40000\n", 0},
		{"unknown user 5", "-u thisdoesntexist", []string{"id"}, "", "", 125},
		{"stdin 6", "-i", []string{"cat"}, "Hello from test", "Hello from test", 0},
		{"home 7", "", []string{"sh", "-c", "echo $HOME"}, "", "/root\n", 0},
		{"custom home 8", "-e HOME=/tmp/custom/home", []string{"sh", "-c", "echo $HOME"}, "", "/tmp/custom/home\n", 0},
		{"terminal type 9", "-t", []string{"sh", "-c", "echo $TERM"}, "", "xterm\r\n", 0},
		{"hostname 10", "--hostname foo-bar", []string{"hostname"}, "", "foo-bar\n", 0},
		{"all capabilities 25", "--cap-add ALL", []string{"sh", "-c", "mount -t tmpfs tmpfs /tmp && ip link set lo down && echo all"}, "", "all\n", 0},
		{"large stdin 57", "-i", []string{"cat"}, large, large, 0},
		{"binary stdin 61", "-i", []string{"cat"}, binary, binary, 0},
		{"init 67", "--init", []string{"echo", "hello from init"}, "", "hello from init\n", 0},
		{"exit status through init 68", "--init", []string{"sh", "-c", "exit 42"}, "", "", 42},
		{"terminal through init 71", "--init -t", []string{"sh", "-c", "tty > /dev/null && echo has tty"}, "", "has tty\r\n", 0},
		{"stdin through init 72", "--init -i", []string{"cat"}, "input through init\n", "input through init\n", 0},
		{"sysctls 74", "--sysctl net.core.somaxconn=2048 --sysctl net.ipv4.ip_forward=1",
			[]string{"cat", "/proc/sys/net/core/somaxconn", "/proc/sys/net/ipv4/ip_forward"}, "", "2048\n1\n", 0},
		{"no_new_privs off 76", "", []string{"grep", "NoNewPrivs", "/proc/self/status"}, "", "NoNewPrivs:\t0\n", 0},
		{"working directory 78", "-w /does/not/exist", []string{"pwd"}, "", "/does/not/exist\n", 0},
		{"overhead 80", "-m 256m", []string{"awk", "/MemTotal/ { exit $2 <= 262144 }", "/proc/meminfo"}, "", "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := append(append([]string{"run", "--rm"}, strings.Fields(test.flags)...), append([]string{testImage}, test.args...)...)
			r := a.with(t).do(strings.NewReader(test.stdin), "skerry", args...)
			if r.stdout != test.stdout || r.code != test.code {
				t.Errorf("%q: exit status %d, %d bytes on stdout, stderr %q", args, r.code, len(r.stdout), r.stderr)
			}
		})
	}
}

// TestExecScenarios has those of further processes.
func TestExecScenarios(t *testing.T) {
	a := shared(t)
	a.ok("skerry", "run", "-d", "--name", "scenarios", "-m", "512m", testImage, "sleep", "300")
	defer a.ok("skerry", "rm", "-f", "scenarios")
	a.ok("skerry", "exec", "-d", "scenarios", "sleep", "300")
	large := strings.Repeat("large stdin ", 128<<10/12)
	for _, test := range []struct {
		name, flags string
		args        []string
		stdin       string
		stdout      string
	}{
		{"control group 14", "", []string{"sh", "-c", "exec wc -l < /sys/fs/cgroup/cgroup.procs"}, "", "3\n"},
		{"memory limit 14", "", []string{"cat", "/sys/fs/cgroup/memory.max"}, "", "536870912\n"},
		{"several 21", "", []string{"true"}, "", ""},
		{"large stdin 58", "-i", []string{"cat"}, large, large},
		{"path 59", "-e PATH=/tmp/custom-bin", []string{"mytest"}, "", "CUSTOM_PATH_OK\n"},
		{"end of stdin 60", "-i", []string{"head", "-n", "1"}, "line\nmore\n", "line\n"},
		{"working directory 79", "-w /a/b/c/d", []string{"pwd"}, "", "/a/b/c/d\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := a.with(t)
			if strings.HasPrefix(test.name, "path") {
				a.ok("skerry", "exec", "scenarios", "sh", "-c",
					`mkdir /tmp/custom-bin && printf '#!/bin/sh\necho CUSTOM_PATH_OK\n' > /tmp/custom-bin/mytest && chmod 755 /tmp/custom-bin/mytest`)
			}
			args := append(append([]string{"exec"}, strings.Fields(test.flags)...), append([]string{"scenarios"}, test.args...)...)
			if r := a.do(strings.NewReader(test.stdin), "skerry", args...); r.stdout != test.stdout || r.code != 0 {
				t.Errorf("%q: exit status %d, %d bytes on stdout, stderr %q", args, r.code, len(r.stdout), r.stderr)
			}
		})
	}
}

// TestSeccompProfile runs with a profile of the user's, and with none.
func TestSeccompProfile(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "profile.json")
	if err := os.WriteFile(profile, []byte(`{"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{"architecture": "SCMP_ARCH_X86_64"}],
		"syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	eachClient(t, func(t *testing.T, a *app, client string) {
		r := a.do(nil, client, "run", "--rm", "--security-opt", "seccomp="+profile, testImage, "sh", "-c", "unshare -U true; mkdir /x")
		if r.code != 1 || !strings.Contains(r.stderr, "No space left") {
			t.Errorf("with a profile: %d %q %q", r.code, r.stdout, r.stderr)
		}
		out := a.ok(client, "run", "--rm", "--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined", "--init", testImage,
			"sh", "-c", "grep Seccomp: /proc/self/status | cut -f 2; grep -c /proc/keys /proc/mounts; echo 1 > /proc/sys/vm/swappiness && echo unconfined")
		if out != "0\n0\nunconfined\n" {
			t.Errorf("unconfined: %q", out)
		}
	})
}

// TestSwap has a container use more memory than its limit. A test without swap
// would be killed.
func TestSwap(t *testing.T) {
	eachClient(t, func(t *testing.T, a *app, client string) {
		const use = "dd if=/dev/zero of=/dev/null bs=90M count=1 2> /dev/null && echo done"
		if out := a.ok(client, "run", "--rm", "-m", "64m", "--memory-swap", "192m", testImage, "sh", "-c",
			"cat /sys/fs/cgroup/memory.swap.max; "+use); out != "134217728\ndone\n" {
			t.Errorf("with swap: %q", out)
		}
		if client == "skerry" {
			a.fails(137, "", client, "run", "--rm", "-m", "64m", testImage, "sh", "-c", "exec dd if=/dev/zero of=/dev/null bs=90M count=1")
		}
	})
}

// TestProcessRefusals wants what cannot be refused by name, before a machine is
// made for it.
func TestProcessRefusals(t *testing.T) {
	eachClient(t, func(t *testing.T, a *app, client string) {
		for _, test := range []struct{ flags, want string }{
			{"--cap-add FLY", "fly"},
			{"--security-opt apparmor=mine", "apparmor is not implemented"},
			{"--security-opt nonsense", "nonsense"},
			{"--cpuset-cpus 100", "cpuset"},
			{"--memory 64m --memory-swap 32m", "swap"},
			{"--oom-score-adj 2000", "oom score"},
			{"--tmpfs /x:bogus", "bogus"},
			{"--device-cgroup-rule x", "x"},
			{"--memory 64m --memory-reservation 128m", "reservation"},
		} {
			args := append(append([]string{"create"}, strings.Fields(test.flags)...), testImage)
			r := a.do(nil, client, args...)
			if r.code == 0 || !strings.Contains(strings.ToLower(r.stderr), test.want) {
				t.Errorf("%s: %d %q", test.flags, r.code, r.stderr)
			}
		}
		r := a.do(nil, client, "run", "--rm", "--device", "/dev/nonesuch", testImage, "true")
		if r.code == 0 || !strings.Contains(r.stderr, "/dev/nonesuch") {
			t.Errorf("a device that is not there: %d %q", r.code, r.stderr)
		}
	})
}
