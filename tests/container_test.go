package tests

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/ext4/ext4test"
)

// TestContainerScenarios has Apple's scenarios of whole containers that other
// tests have not.
func TestContainerScenarios(t *testing.T) {
	a := shared(t)
	run := func(t *testing.T, flags string, script string) string {
		t.Helper()
		args := append(append([]string{"run", "--rm"}, strings.Fields(flags)...), testImage, "sh", "-c", script)
		r := a.with(t).do(nil, "skerry", args...)
		return r.stdout + r.stderr
	}
	for _, test := range []struct{ name, flags, script, want string }{
		{"without capabilities 22 23 26", "--cap-drop ALL", "mount -t tmpfs tmpfs /tmp 2> /dev/null; echo $?; ip link set lo down 2> /dev/null; echo $?; touch /f; chown 1000:1000 /f 2> /dev/null; echo $?", "1\n2\n1\n"},
		{"with those 22 23 26", "--cap-drop ALL --cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add CHOWN", "mount -t tmpfs tmpfs /tmp; echo $?; ip link set lo down; echo $?; touch /f; chown 1000:1000 /f; echo $?", "0\n0\n0\n"},
		{"writable layer 48 52 53", "", "echo writable > /bin/test-file; cat /bin/test-file; head -n 1 /etc/passwd | cut -d : -f 1", "writable\nroot\n"},
		{"the image stays 52", "", "test -e /bin/test-file || echo not-exists", "not-exists\n"},
		{"over a read-only root 54", "--read-only --tmpfs /work", "echo layer > /work/file; cat /work/file; touch /x 2>&1", "layer\ntouch: /x: Read-only file system\n"},
		{"size of the layer 55", "--storage-opt size=1g", "df -m / | awk 'NR == 2 { print ($2 > 900 && $2 < 1100) }'", "1\n"},
		{"no network 156", "--network none", "ls /sys/class/net; ip -4 route", "lo\n"},
		{"network 157", "", "ls /sys/class/net", "eth0\nlo\n"},
		{"console 132", "-t", "mount | grep -c /dev/console", "1\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := run(t, test.flags, test.script); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
	t.Run("input 62 63", func(t *testing.T) {
		a := a.with(t)
		var want bytes.Buffer
		r, w := io.Pipe()
		go func() {
			for i := range 10 {
				piece := bytes.Repeat([]byte{byte('a' + i)}, 10<<10)
				want.Write(piece)
				w.Write(piece)
				time.Sleep(10 * time.Millisecond)
			}
			w.Close()
		}()
		if got := a.do(r, "skerry", "run", "--rm", "-i", testImage, "cat"); got.stdout != want.String() {
			t.Errorf("%d bytes of %d", len(got.stdout), want.Len())
		}
		if got := a.do(bytes.NewReader(bytes.Repeat([]byte("X"), 10<<20)), "skerry", "run", "--rm", "-i", testImage, "wc", "-c"); got.stdout != "10485760\n" {
			t.Errorf("%q", got.stdout)
		}
	})
	t.Run("again and again 11 129 131", func(t *testing.T) {
		a := a.with(t)
		id := strings.TrimSpace(a.ok("skerry", "create", testImage, "sh", "-c", "hostname; sleep 300"))
		defer a.ok("skerry", "rm", "-f", id)
		said := ""
		for range 2 {
			a.ok("skerry", "start", id)
			said += id[:12] + "\n"
			a.eventually("it has started", func() error { return has(a.ok("skerry", "logs", id), said) })
			for range 2 {
				a.ok("skerry", "stop", "-t", "0", id)
			}
		}
		if out := a.ok("skerry", "logs", id); out != said {
			t.Errorf("%q", out)
		}
	})
}

// TestCopyKinds copies all kinds of files there and back.
func TestCopyKinds(t *testing.T) {
	a, dir := shared(t), t.TempDir()
	tree := filepath.Join(dir, "tree")
	var bytes256 []byte
	for i := range 256 * 64 {
		bytes256 = append(bytes256, byte(i))
	}
	write(t, filepath.Join(tree, "empty"), "")
	must(t, os.MkdirAll(filepath.Join(tree, "empty-dir"), 0o755))
	write(t, filepath.Join(tree, "binary"), string(bytes256))
	write(t, filepath.Join(tree, "large"), strings.Repeat(string(pattern("copy")), 10))
	write(t, filepath.Join(tree, "a/b/c/deep.txt"), "tab\tend\r\nzero\x00")
	write(t, filepath.Join(tree, "script"), "#!/bin/sh\necho hello\n")
	must(t, os.Chmod(filepath.Join(tree, "script"), 0o755))
	for i := range 100 {
		write(t, filepath.Join(tree, "many", fmt.Sprint(i)), strings.Repeat("x", i))
	}
	a.ok("skerry", "run", "-d", "--name", "kinds", testImage, "sleep", "300")
	defer a.ok("skerry", "rm", "-f", "kinds")
	a.ok("skerry", "cp", tree, "kinds:/tree")
	if got := a.in("kinds", "/tree/script; ls /tree/many | wc -l; stat -c %s /tree/empty /tree/large; ls -a /tree/empty-dir | wc -l"); got != "hello\n100\n0\n10485760\n2\n" {
		t.Errorf("in the container: %q", got)
	}
	back := filepath.Join(dir, "back")
	a.ok("skerry", "cp", "kinds:/tree", back)
	if diff := cmp.Diff(plain(ext4test.Walk(t, tree)), plain(ext4test.Walk(t, back)), cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Mtime" }, cmp.Ignore())); diff != "" {
		t.Errorf("(-there +back):\n%.2000s", diff)
	}
	covers(t, 34, 37, 38, 39, 40, 41, 43, 44)
}

// heldUp freezes the file system at a path of a container and begins a write to
// it in another, or the same. The function that it returns wants that write not
// to have ended, thaws, and then wants it to succeed.
func heldUp(t *testing.T, a *app, frozen, path, writer, script string) (thaw func()) {
	t.Helper()
	a.ok("skerry", "fs", "freeze", frozen, path)
	written := make(chan result, 1)
	go func() { written <- a.do(nil, "skerry", "exec", writer, "sh", "-c", script) }()
	return func() {
		t.Helper()
		select {
		case r := <-written:
			t.Errorf("a write to a frozen file system has ended: %+v", r)
		default:
		}
		a.ok("skerry", "fs", "thaw", frozen, path)
		if r := <-written; r.code != 0 {
			t.Errorf("the write after the thaw: %+v", r)
		}
	}
}

// TestFreeze copies a volume's disk while it is frozen, and has it give back
// what it does not use.
func TestFreeze(t *testing.T) {
	a := shared(t)
	a.ok("skerry", "run", "-d", "--name", "frozen", "-v", "ice:/data", testImage, "sleep", "300")
	defer a.ok("skerry", "volume", "rm", "ice")
	defer a.ok("skerry", "rm", "-f", "frozen")
	a.in("frozen", "echo before > /data/before; sync")
	disk := filepath.Join(strings.TrimSpace(a.ok("skerry", "volume", "inspect", "-f", "{{.Mountpoint}}", "ice")), "data.ext4")
	thaw := heldUp(t, a, "frozen", "/data", "frozen", "echo hello > /data/hello.txt")
	// The root is another file system, and goes on.
	a.in("frozen", "echo x > /other; cat /data/before; ps -o args | grep -q '^sh -c echo hello' || sleep 1")
	clone := filepath.Join(t.TempDir(), "clone.ext4")
	if out, err := exec.Command("cp", "--sparse=always", disk, clone).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	thaw()
	if got := a.in("frozen", "cat /data/hello.txt"); got != "hello\n" {
		t.Errorf("%q", got)
	}
	if out, err := exec.Command("e2fsck", "-fn", clone).CombinedOutput(); err != nil {
		t.Errorf("the copy: %v\n%s", err, out)
	}
	list, err := exec.Command("debugfs", "-R", "ls /data", clone).Output()
	if err != nil || !strings.Contains(string(list), "before") || strings.Contains(string(list), "hello.txt") {
		t.Errorf("the copy has %q (%v)", list, err)
	}

	var before, after unix.Stat_t
	a.in("frozen", "head -c 8388608 /dev/urandom > /data/trim.dat; sync")
	must(t, unix.Stat(disk, &before))
	a.in("frozen", "rm /data/trim.dat; sync")
	a.ok("skerry", "fs", "trim", "frozen", "/data")
	must(t, unix.Stat(disk, &after))
	if freed := (before.Blocks - after.Blocks) * 512; freed < 7<<20 {
		t.Errorf("trim gave back %d bytes of 8 MiB", freed)
	}
	// Of the root it is the scratch disk's, and a second thaw finds nothing to do.
	a.ok("skerry", "fs", "freeze", "frozen")
	a.ok("skerry", "fs", "thaw", "frozen", "/")
	a.fails(1, "invalid argument", "skerry", "fs", "thaw", "frozen", "/")
	a.fails(1, "no such file", "skerry", "fs", "trim", "frozen", "/absent")
	a.fails(1, "not a directory", "skerry", "fs", "freeze", "frozen", "/dev/null")
	covers(t, 134, 135)
}
