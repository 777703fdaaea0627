package tests

import (
	"archive/tar"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/ext4/ext4test"
	"github.com/skerry-app/skerry/registry/registrytest"
)

// in runs a shell script in a running container.
func (a *app) in(name, script string) string {
	a.tb.Helper()
	return a.ok("skerry", "exec", name, "sh", "-exc", script)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(content), 0o644))
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s has %q (%v), want %q", path, got, err, want)
	}
}

// TestMounts mounts directories and files of the host in all the ways there
// are, and looks at both sides.
func TestMounts(t *testing.T) {
	a, host := shared(t), t.TempDir()
	write(t, filepath.Join(host, "dir/hello"), "hello")
	write(t, filepath.Join(host, "config"), "config")
	write(t, filepath.Join(host, "private"), "private")
	write(t, filepath.Join(host, "nested/deep"), "deep")
	must(t, os.Symlink("config", filepath.Join(host, "link")))
	must(t, os.Symlink("dir", filepath.Join(host, "dirlink")))
	at := func(name string) string { return filepath.Join(host, name) }

	a.fails(125, "bind source path does not exist", "skerry", "run", "--rm", "--mount", "type=bind,source="+at("absent")+",target=/x", testImage, "true")
	a.fails(125, "Duplicate mount point: /x", "docker", "run", "--rm", "-v", host+":/x", "-v", host+":/x/", testImage, "true")
	a.fails(125, "includes invalid characters", "docker", "run", "--rm", "-v", "a b:/x", testImage, "true")

	a.ok("docker", "run", "-d", "--name", "mounts",
		"-v", at("nested")+":/mnt/deep/nested", "-v", at("dir")+":/mnt/deep", // sorted by depth
		"-v", at("dirlink")+":/again", "-v", at("dir")+":/readonly:ro",
		"-v", at("config")+":/etc/config", "-v", at("link")+":/etc/readonly-config:ro",
		"-v", at("made")+":/made", "--mount", "type=tmpfs,target=/quick,tmpfs-size=1m", testImage, "sleep", "1000")
	defer a.ok("skerry", "rm", "-f", "mounts")

	if got := a.in("mounts", "cat /mnt/deep/hello /mnt/deep/nested/deep /again/hello /readonly/hello /etc/config /etc/readonly-config"); got != "hellodeephellohelloconfigconfig" {
		t.Errorf("read %q", got)
	}
	a.in("mounts", `
		echo -n written >/mnt/deep/new; echo -n changed >/etc/config; echo -n made >/made/file
		! echo x >/readonly/x 2>/dev/null; ! echo x >/etc/readonly-config 2>/dev/null; ! rm /readonly/hello 2>/dev/null
		mkdir -p /made/a/b; mv /made/file /made/a/b/moved; ln -s /etc /made/out; ln /made/a/b/moved /made/hard
		test "$(ls /made/out/passwd)" = /made/out/passwd
		echo x >/quick/x; ! dd if=/dev/zero of=/quick/big bs=1M count=2 2>/dev/null
		mkfifo /made/pipe; (echo through >/made/pipe &); test "$(cat /made/pipe)" = through
		! mknod /made/device c 1 3 2>/dev/null
		test ! -e /run/container`)
	wantFile(t, at("dir/new"), "written")
	wantFile(t, at("config"), "changed")
	wantFile(t, at("made/a/b/moved"), "made")
	wantFile(t, at("made/hard"), "made")
	if target, err := os.Readlink(at("made/out")); target != "/etc" {
		t.Errorf("the link leads to %q (%v)", target, err)
	}
	// A change on the host is seen, and one in the container by the host.
	write(t, at("dir/hello"), "another hello")
	a.eventually("the container sees the change", func() error {
		if got := a.in("mounts", "cat /again/hello"); got != "another hello" {
			return fmt.Errorf("it reads %q", got)
		}
		return nil
	})

	// Users of the container write what is the host's user's, and own what
	// they are given.
	a.ok("skerry", "exec", "-u", "1000:1000", "mounts", "sh", "-ec", `
		echo -n theirs >>/again/new; test "$(stat -c %u:%g /again/new)" = 1000:1000; chmod 600 /again/new; touch -d @1000 /again/new`)
	wantFile(t, at("dir/new"), "writtentheirs")
	a.in("mounts", "mkdir /made/data; chown 999:999 /made/data; chmod 700 /made/data")
	a.ok("skerry", "exec", "-u", "999:999", "mounts", "sh", "-ec", `test "$(stat -c %u:%a /made/data)" = 999:700; touch /made/data/x`)
	a.fails(1, "ermission denied", "skerry", "exec", "-u", "1000", "mounts", "ls", "/made/data")
	var st unix.Stat_t
	must(t, unix.Stat(at("made/data/x"), &st))
	if int(st.Uid) != os.Getuid() {
		t.Errorf("on the host the file belongs to %d", st.Uid)
	}

	var inspected []container.InspectResponse
	must(t, json.Unmarshal([]byte(a.ok("docker", "inspect", "mounts")), &inspected))
	for _, m := range inspected[0].Mounts {
		if m.Destination == "/readonly" && (m.Type != "bind" || m.Source != at("dir") || m.RW) {
			t.Errorf("inspect shows %+v", m)
		}
	}
	if n := len(inspected[0].Mounts); n != 8 {
		t.Errorf("inspect shows %d mounts", n)
	}
	a.ok("skerry", "stop", "-t", "0", "mounts")
	wantFile(t, at("private"), "private")
	covers(t, 81, 82, 83, 84, 85, 86, 87, 88)
}

// TestTreeInAShare compares a tree on this host with what a container sees of
// it, and with what the container has copied.
func TestTreeInAShare(t *testing.T) {
	a, host := shared(t), t.TempDir()
	tree := filepath.Join(host, "data")
	plant(t, tree)
	must(t, os.Chmod(filepath.Join(tree, "owned"), 0o755)) // such bits are not shown
	a.ok("skerry", "run", "-d", "--name", "tree", "-v", host+":/host", insideImage(t, "share"), "sleep", "1000")
	defer a.ok("skerry", "rm", "-f", "tree")
	read := func(dir string) (m ext4test.Manifest) {
		out := a.ok("skerry", "exec", "tree", "inside", "manifest", dir)
		if err := gob.NewDecoder(strings.NewReader(out)).Decode(&m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	want := ext4test.Walk(t, tree)
	if diff := cmp.Diff(plain(want), plain(read("/host/data"))); diff != "" {
		t.Errorf("what the container sees (-host +container):\n%s", diff)
	}
	a.in("tree", "mkdir /host/copy; cd /host/data; cp -a deep large fast /host/copy")
	copied := ext4test.Walk(t, filepath.Join(host, "copy"))
	for path, e := range plain(copied) {
		if path == "." {
			continue
		}
		// busybox's cp copies no attributes, no times of links, and seconds only.
		from := plain(want)[path]
		if path == "fast" {
			from.Mtime = e.Mtime
		}
		from.Mtime, from.Xattrs, e.Mtime, e.Xattrs = from.Mtime.Truncate(time.Second), nil, e.Mtime.Truncate(time.Second), nil
		if diff := cmp.Diff(from, e); diff != "" && path != "large" { // which has lost its other names
			t.Errorf("what the container copied, %s (-host +copy):\n%s", path, diff)
		}
	}
	a.in("tree", "rm -r /host/copy")
	if _, err := os.Stat(filepath.Join(host, "copy")); !os.IsNotExist(err) {
		t.Errorf("the copy is still there: %v", err)
	}
}

// plain leaves out of a manifest what a share does not have: owners of the host
// and attributes that are not for users.
func plain(m ext4test.Manifest) ext4test.Manifest {
	kept := ext4test.Manifest{}
	for path, e := range m {
		e.UID, e.GID = 0, 0
		attributes := map[string]string{}
		for name, value := range e.Xattrs {
			if strings.HasPrefix(name, "user.") {
				attributes[name] = value
			}
		}
		e.Xattrs = attributes
		kept[path] = e
	}
	return kept
}

// TestVolumes keeps data in volumes, fills new ones with what the image has, and
// lets no two machines write to one.
func TestVolumes(t *testing.T) {
	a := shared(t)
	ref := insideImage(t, "volumes", registrytest.Layer{Files: []registrytest.File{
		{Name: "data/", Mode: 0o750}, {Name: "data/seed", Body: []byte("seed"), Mode: 0o604}, {Name: "data/link", Link: "seed", Type: tar.TypeSymlink}}})
	if got := a.ok("docker", "volume", "create", "--label", "a=b", "kept"); got != "kept\n" {
		t.Errorf("create printed %q", got)
	}
	a.ok("skerry", "run", "--name", "first", "-v", "kept:/data", ref, "sh", "-ec",
		`test "$(cat /data/link)" = seed; test "$(stat -c %a /data /data/seed | tr '\n' ' ')" = "750 604 "; echo -n more >/data/more; rm /data/seed`)
	a.ok("skerry", "run", "-d", "--name", "second", "--mount", "source=kept,target=/data", "-v", "/scratch", ref, "sleep", "1000")
	if got := a.in("second", "cat /data/more; ls /data; echo x >/scratch/x"); got != "morelink\nmore\n" {
		t.Errorf("the second container has %q", got)
	}
	a.fails(125, "in use by container second", "skerry", "run", "--rm", "-v", "kept:/data", ref, "true")
	a.fails(125, "in use by container second", "docker", "run", "--rm", "-v", "kept:/data:ro", ref, "true")
	a.fails(1, "volume is in use", "docker", "volume", "rm", "kept")
	if got := strings.Count(a.ok("docker", "volume", "ls", "-q"), "\n"); got != 2 {
		t.Errorf("there are %d volumes, want the one with a name and the one without", got)
	}
	a.ok("skerry", "rm", "-f", "-v", "second")
	if got := a.ok("skerry", "volume", "ls", "-q"); got != "kept\n" {
		t.Errorf("the volumes left are %q", got)
	}
	// Several may read.
	for _, name := range []string{"reader1", "reader2"} {
		a.ok("skerry", "run", "-d", "--name", name, "-v", "kept:/data:ro", ref, "sleep", "1000")
		if got := a.in(name, "cat /data/more; ! echo x >/data/x 2>/dev/null"); got != "more" {
			t.Errorf("%s reads %q", name, got)
		}
	}
	a.fails(125, "2 containers that read", "skerry", "run", "--rm", "-v", "kept:/data", ref, "true")
	a.ok("skerry", "rm", "-f", "first", "reader1", "reader2")
	if got := a.ok("docker", "volume", "inspect", "-f", "{{.Name}} {{.Driver}} {{.Labels.a}}", "kept"); got != "kept local b\n" {
		t.Errorf("inspect prints %q", got)
	}
	a.ok("docker", "volume", "rm", "kept")
	a.fails(1, "no such volume", "docker", "volume", "inspect", "kept")
}

// TestCopy copies between this host and containers, with docker and skerry.
func TestCopy(t *testing.T) {
	a, host := shared(t), t.TempDir()
	at := func(name string) string { return filepath.Join(host, name) }
	write(t, at("tree/file"), "file")
	write(t, at("tree/below/deeper"), "deeper")
	must(t, unix.Chmod(at("tree/file"), 0o4751))
	must(t, os.Chtimes(at("tree/file"), time.Time{}, time.Unix(1_000_000_000, 0)))
	must(t, os.Symlink("below/deeper", at("tree/link")))
	must(t, os.Link(at("tree/file"), at("tree/hard")))
	must(t, unix.Setxattr(at("tree/file"), "user.kept", []byte("value"), 0))
	must(t, os.Lchown(at("tree/below"), 1234, 5678))
	must(t, os.Truncate(at("tree/below/deeper"), 50<<20))

	a.ok("skerry", "create", "--name", "copies", "-v", at("made")+":/share", insideImage(t, "copy"), "sleep", "1000")
	defer a.ok("skerry", "rm", "-f", "copies")
	// Before the container has ever run.
	a.ok("docker", "cp", at("tree"), "copies:/early")
	a.ok("skerry", "start", "copies")
	a.in("copies", "cmp /early/file /early/hard; mkdir /dest; ln -s /dest /to-dest; ln -s /nowhere/x /broken; echo -n target >/afile; ln -s /proc/self/exe /proc-link")
	for i, client := range []string{"docker", "skerry"} {
		into := fmt.Sprintf("copies:/dest/%d", i)
		a.ok(client, "cp", at("tree"), into)                    // is not there: takes the name
		a.ok(client, "cp", at("tree"), into)                    // is there: goes into it
		a.ok(client, "cp", at("tree")+"/.", into+"/tree/below") // the content
		a.ok(client, "cp", at("tree/file"), into+"/renamed")
		a.ok(client, "cp", at("tree/file"), "copies:/to-dest")
		a.ok(client, "cp", at("tree/file"), "copies:/share/shared")
		a.fails(1, "", client, "cp", at("tree"), "copies:/afile")             // a directory onto a file
		a.fails(1, "", client, "cp", at("tree/file"), "copies:/dest/absent/") // says directory
		a.fails(1, "", client, "cp", at("tree/file"), "copies:/absent/name")
		a.fails(1, "", client, "cp", at("absent"), "copies:/dest")
		a.in("copies", fmt.Sprintf(`cd /dest/%d
			test "$(stat -c %%a,%%Y file)" = 4751,1000000000; test "$(readlink link)" = below/deeper; test file -ef hard
			test "$(stat -c %%u:%%g below)" = 1234:5678
			test -f tree/below/deeper; test -f tree/below/below/deeper; test -f renamed; test -f /dest/file; rm /dest/file
			test "$(du -k below/deeper | cut -f1)" -lt 1024`, i))
		wantFile(t, at("made/shared"), "file")

		out := t.TempDir()
		a.ok(client, "cp", fmt.Sprintf("copies:/dest/%d", i), out+"/new")
		a.ok(client, "cp", fmt.Sprintf("copies:/dest/%d/.", i), out)
		a.ok(client, "cp", "copies:/dest/"+fmt.Sprint(i)+"/file", out+"/one")
		a.ok(client, "cp", "copies:/broken", out)
		a.fails(1, "", client, "cp", "copies:/absent", out)
		a.fails(1, "", client, "cp", "copies:/proc-link/", out)
		wantFile(t, out+"/one", "file")
		wantFile(t, out+"/new/file", "file")
		wantFile(t, out+"/tree/below/file", "file")
		if target, err := os.Readlink(out + "/broken"); target != "/nowhere/x" {
			t.Errorf("the broken link leads to %q (%v)", target, err)
		}
		var st unix.Stat_t
		must(t, unix.Stat(out+"/new/file", &st))
		if st.Mode&0o7777 != 0o4751 || st.Mtim.Sec != 1_000_000_000 {
			t.Errorf("the file came back with mode %o and time %d", st.Mode, st.Mtim.Sec)
		}
		var value [16]byte
		if n, err := unix.Getxattr(out+"/new/file", "user.kept", value[:]); err != nil || string(value[:n]) != "value" {
			t.Logf("%s brought the attribute back as %q (%v)", client, value[:max(n, 0)], err)
		}
	}
	tarred := a.ok("skerry", "cp", "copies:/early", "-")
	if !strings.Contains(tarred, "early/below/deeper") {
		t.Error("no tar archive on the standard output")
	}
	a.ok("skerry", "stop", "-t", "0", "copies")
	a.ok("docker", "cp", "copies:/early/file", at("late"))
	wantFile(t, at("late"), "file")
	covers(t, 29, 30, 31, 32, 33, 35, 36)
}

// TestUncleanVolume kills a machine that writes to a volume: who may only read it
// is told what to do, and who may write to it mends it.
func TestUncleanVolume(t *testing.T) {
	a := startApp(t)
	a.ok("skerry", "pull", testImage)
	a.ok("skerry", "run", "-d", "--name", "writer", "-v", "data:/data", testImage,
		"sh", "-c", "echo kept > /data/kept; sync; while :; do cp /bin/busybox /data/more; rm /data/more; done")
	a.eventually("it writes", func() error { return has(a.ok("skerry", "exec", "writer", "ls", "/data"), "kept") })
	must(t, syscall.Kill(a.onlyMachine(), syscall.SIGKILL))
	a.fails(1, "machine ended", "skerry", "wait", "writer")
	a.fails(125, `volume "data": it was not unmounted cleanly`, "skerry", "run", "--rm", "-v", "data:/data:ro", testImage, "cat", "/data/kept")
	for _, mode := range []string{"rw", "ro"} {
		if got := a.ok("skerry", "run", "--rm", "-v", "data:/data:"+mode, testImage, "cat", "/data/kept"); got != "kept\n" {
			t.Errorf("%s: %q", mode, got)
		}
	}
}
