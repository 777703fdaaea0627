package tests

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pod makes and starts containers that share a machine; each is a command line
// after "create", the first word its name. It returns the prefix of their names.
func pod(t *testing.T, a *app, name string, containers ...[]string) {
	t.Helper()
	var names []string
	for _, c := range containers {
		full := name + "-" + c[0]
		a.ok("skerry", append([]string{"create", "--pod", name, "--name", full}, c[1:]...)...)
		names = append(names, full)
	}
	t.Cleanup(func() { a.ok("skerry", append([]string{"rm", "-f", "-v"}, names...)...) })
	a.ok("skerry", append([]string{"start"}, names...)...)
}

// TestPod looks at two containers of one machine. Numbers are those of Apple's
// scenarios.
func TestPod(t *testing.T) {
	a := shared(t)
	config := filepath.Join(t.TempDir(), "config.txt")
	write(t, config, "configured")
	socket := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", socket)
	must(t, err)
	defer l.Close()
	a.ok("skerry", "volume", "create", "pod-unused")
	t.Cleanup(func() { a.ok("skerry", "volume", "rm", "pod-unused", "pod-data", "pod-1", "pod-2") })
	pod(t, a, "p",
		[]string{"one", "--hostname", "my-pod-container", "--cpus", "1", "--memory", "64m", "-e", "MY_VAR=hello_from_container", "--dns", "1.1.1.1",
			"--add-host", "c1.test:10.0.0.50", "--ulimit", "nofile=1024:2048", "--sysctl", "net.core.somaxconn=2048", "--init", "--share-pids",
			"-v", config + ":/etc/myconfig.txt", "-v", "pod-data:/data", "-v", "pod-1:/mnt1", "-v", "pod-2:/mnt2", "-v", socket + ":/var/run/test.sock", "-p", "8080", testImage, "sh", "-c", "echo hello from one; httpd -f -p 8080 -h /data & sleep 9998"},
		[]string{"two", "--cpus", "0.5", "--memory", "96m", "--read-only", "--dns", "8.8.8.8", "--dns", "8.8.4.4", "--add-host", "c2.test:10.0.0.60",
			"--sysctl", "net.core.netdev_max_backlog=5000", "-v", "pod-data:/shared", "-v", "pod-1:/other1", "-v", "pod-2:/other2", testImage, "sleep", "9999"},
		[]string{"three", "--share-pids", testImage, "sh", "-c", "echo hello from three; sleep 9997"},
	)
	in := func(container, script string) string {
		return a.ok("skerry", "exec", "p-"+container, "sh", "-c", script)
	}
	for _, check := range []struct{ what, container, script, want string }{
		{"exec 93", "one", "echo exec test", "exec test\n"},
		{"environment 94", "one", "echo $MY_VAR", "hello_from_container\n"},
		{"hostname 95", "one", "hostname", "my-pod-container\n"},
		{"limits 101 104", "one", "cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/memory.max", "100000 100000\n67108864\n"},
		{"other limits 104", "two", "cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/memory.max", "50000 100000\n100663296\n"},
		{"write 102", "one", "echo mine > /tmp/file; cat /tmp/file", "mine\n"},
		{"files apart 102", "two", "cat /tmp/file 2>&1", "cat: can't open '/tmp/file': No such file or directory\n"},
		{"processes apart 103", "two", "ps -o args | grep -c '^sleep 9998'", "0\n"},
		{"processes shared 105 123", "three", "ps -o args | grep -c '^sleep 9998'", "1\n"},
		{"read-only root 106", "two", "touch /file 2>&1", "touch: /file: Read-only file system\n"},
		{"name servers 107 109", "two", "grep nameserver /etc/resolv.conf", "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"},
		{"other name servers 109", "one", "grep nameserver /etc/resolv.conf", "nameserver 1.1.1.1\n"},
		{"hosts 108 110", "one", "grep -h test /etc/hosts", "10.0.0.50\tc1.test\n"},
		{"other hosts 110", "two", "grep -h test /etc/hosts", "10.0.0.60\tc2.test\n"},
		{"a socket through a link 139", "one", "ls -l /run/test.sock | cut -c 1", "s\n"},
		{"several volumes 147 148 151", "one", "echo aaa > /mnt1/id; echo bbb > /mnt2/id; cat /mnt1/id", "aaa\n"},
		{"which is which 151", "two", "cat /other1/id /other2/id", "aaa\nbbb\n"},
		{"limit of files 117 118", "one", "ulimit -n", "1024\n"},
		{"sysctls 124 125", "three", "cat /proc/sys/net/core/somaxconn /proc/sys/net/core/netdev_max_backlog", "2048\n5000\n"},
		{"one file 128", "one", "cat /etc/myconfig.txt", "configured"},
		{"init 119 122", "one", "ps -o args | grep -c '[s]kerry-init'", "1\n"},
		{"one address", "three", "ip -o -4 addr show eth0 | wc -l; wget -q -O - http://p-two:8080/nothing 2>&1 | head -n 1", "1\nwget: server returned error: HTTP/1.1 404 Not Found\n"},
		{"a volume written 146 153", "one", "echo shared-content > /data/file; cat /data/file", "shared-content\n"},
		{"a volume read 146 153", "two", "cat /shared/file; echo more >> /shared/file", "shared-content\n"},
		{"a volume appended 153", "one", "cat /data/file", "shared-content\nmore\n"},
		{"writers at once 150", "two", "for i in 1 2 3; do echo $i > /shared/two-$i; done; cat /shared/two-*", "1\n2\n3\n"},
	} {
		t.Run(check.what, func(t *testing.T) {
			a := a.with(t)
			r := a.do(nil, "skerry", "exec", "p-"+check.container, "sh", "-c", check.script)
			if r.stdout != check.want {
				t.Errorf("%q, want %q\n%s", r.stdout, check.want, r.stderr)
			}
		})
	}
	t.Run("hostname defaults to the id 96", func(t *testing.T) {
		a := a.with(t)
		if id := a.ok("skerry", "inspect", "-f", "{{slice .Id 0 12}}", "p-two"); in("two", "hostname") != id {
			t.Errorf("the host name is not %s", id)
		}
	})
	t.Run("output 91", func(t *testing.T) {
		a := a.with(t)
		if out := a.ok("skerry", "logs", "p-one") + a.ok("skerry", "logs", "p-three"); out != "hello from one\nhello from three\n" {
			t.Errorf("%q", out)
		}
	})
	t.Run("list 98", func(t *testing.T) {
		a := a.with(t)
		if out := a.ok("skerry", "ps", "--filter", "label=dev.skerry.pod=p", "--format", "{{.Names}}"); strings.Count(out, "\n") != 3 {
			t.Errorf("%q", out)
		}
	})
	t.Run("published port", func(t *testing.T) {
		a := a.with(t)
		in("one", "echo page > /data/index.html")
		address, _, _ := strings.Cut(a.ok("docker", "port", "p-one", "8080/tcp"), "\n")
		response, err := http.Get("http://" + address + "/index.html")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if body, err := io.ReadAll(response.Body); string(body) != "page\n" {
			t.Errorf("%q, %v", body, err)
		}
	})
	t.Run("statistics 99", func(t *testing.T) {
		a := a.with(t)
		for _, name := range []string{"p-one", "p-two"} {
			if out := a.ok("skerry", "stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", name); !strings.HasPrefix(out, name+" ") || strings.HasSuffix(out, " 0\n") {
				t.Errorf("%s: %q", name, out)
			}
		}
	})
	t.Run("files in and out", func(t *testing.T) {
		a := a.with(t)
		out := filepath.Join(t.TempDir(), "out")
		a.ok("skerry", "cp", config, "p-three:/tmp/config.txt")
		a.ok("skerry", "cp", "p-three:/tmp/config.txt", out)
		if data, err := os.ReadFile(out); err != nil || string(data) != "configured" {
			t.Errorf("%q, %v", data, err)
		}
	})
	t.Run("freeze, thaw, trim 152", func(t *testing.T) {
		a := a.with(t)
		thaw := heldUp(t, a, "p-one", "/data", "p-two", "echo hello > /shared/hello")
		in("one", "sleep 1; echo free > /tmp/free")
		thaw()
		a.ok("skerry", "fs", "trim", "p-two", "/shared")
		if out := in("one", "cat /data/hello"); out != "hello\n" {
			t.Errorf("%q", out)
		}
	})
	t.Run("pause", func(t *testing.T) {
		a := a.with(t)
		a.ok("skerry", "pause", "p-two")
		a.fails(1, "paused", "skerry", "exec", "p-two", "true")
		if out := in("one", "echo goes on"); out != "goes on\n" {
			t.Errorf("%q", out)
		}
		a.ok("skerry", "unpause", "p-two")
	})
	t.Run("init forwards signals 121", func(t *testing.T) {
		a := a.with(t)
		// Nothing of what shares its processes goes with it, and what was its own does.
		a.ok("skerry", "kill", "-s", "KILL", "p-one")
		if status := a.ok("skerry", "wait", "p-one"); status != "137\n" {
			t.Errorf("wait: %q", status)
		}
		if out := in("three", "ps -o args | grep -c '^sleep 9998'; ps -o args | grep -c '^sleep 9997'"); out != "0\n1\n" {
			t.Errorf("%q", out)
		}
	})
	t.Run("a volume stays 149", func(t *testing.T) {
		a := a.with(t)
		a.ok("skerry", "start", "p-one")
		if out := in("one", "cat /data/file"); out != "shared-content\nmore\n" {
			t.Errorf("%q", out)
		}
	})
	t.Run("one that came too late", func(t *testing.T) {
		a := a.with(t)
		a.ok("skerry", "create", "--pod", "p", "--name", "p-late", testImage, "true")
		defer a.ok("skerry", "rm", "p-late")
		a.fails(1, "stop the pod's other containers", "skerry", "start", "p-late")
	})
	t.Run("stop twice 97", func(t *testing.T) {
		a := a.with(t)
		for range 2 {
			a.ok("skerry", "stop", "-t", "0", "p-one", "p-two", "p-three")
		}
	})
	// All members have their disks in the machine that looks into one of them.
	t.Run("files of a stopped one", func(t *testing.T) {
		a := a.with(t)
		out := filepath.Join(t.TempDir(), "out")
		a.ok("skerry", "cp", "p-three:/tmp/config.txt", out)
		if data, err := os.ReadFile(out); err != nil || string(data) != "configured" {
			t.Errorf("%q, %v", data, err)
		}
	})
}

// TestPodEnds has containers of a pod run to their ends.
func TestPodEnds(t *testing.T) {
	a := shared(t)
	pod(t, a, "q",
		[]string{"true", testImage, "true"},
		[]string{"echo", "--init", testImage, "echo", "hello from pod init"},
		[]string{"code", "--init", testImage, "sh", "-c", "exit 42"},
		[]string{"user", "--init", testImage, "sleep", "300"},
		[]string{"greedy", "--memory", "32m", testImage, "sh", "-c", "tail /dev/zero; echo $?; sleep 300"},
	)
	t.Run("run to their ends 89 90 92 120", func(t *testing.T) {
		a := a.with(t)
		if out := a.ok("skerry", "wait", "q-true", "q-echo", "q-code"); out != "0\n0\n42\n" {
			t.Errorf("%q", out)
		}
		if out := a.ok("skerry", "logs", "q-echo"); out != "hello from pod init\n" {
			t.Errorf("%q", out)
		}
	})
	t.Run("SIGTERM 121", func(t *testing.T) {
		a := a.with(t)
		a.ok("skerry", "kill", "-s", "TERM", "q-user")
		if out := a.ok("skerry", "wait", "q-user"); out != "143\n" {
			t.Errorf("%q", out)
		}
	})
	t.Run("want of memory 100", func(t *testing.T) {
		a := a.with(t)
		a.eventually("a process is killed", func() error {
			if out := a.ok("skerry", "logs", "q-greedy"); out != "137\n" {
				return fmt.Errorf("it said %q", out)
			}
			return nil
		})
	})
	t.Run("a machine that dies, and its console 19", func(t *testing.T) {
		a := a.with(t)
		pod(t, a, "r",
			[]string{"bad", "--privileged", "--memory", "32m", testImage, "sh", "-c", "sleep 2; echo 2 > /proc/sys/vm/panic_on_oom; tail /dev/zero"},
			[]string{"good", testImage, "sleep", "300"})
		for _, name := range []string{"r-bad", "r-good"} {
			a.fails(1, "machine ended", "skerry", "wait", name)
			if out := a.ok("skerry", "inspect", "-f", "{{.State.Error}}", name); !strings.Contains(out, "machine ended") || !strings.Contains(out, "panic_on_oom") {
				t.Errorf("%s: %q", name, out)
			}
		}
	})
}
