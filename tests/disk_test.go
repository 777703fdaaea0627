package tests

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/ext4/ext4test"
	"github.com/skerry-app/skerry/registry/registrytest"
	"github.com/skerry-app/skerry/tests/busybox"
)

// insideImage pushes busybox with the program "inside", and what more there is
// to be in it, under a name.
func insideImage(t *testing.T, name string, more ...registrytest.Layer) (ref string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "inside")
	build := exec.Command("go", "build", "-o", program, "./inside")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build inside: %v\n%s", err, out)
	}
	body, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	image, err := busybox.Image()
	if err != nil {
		t.Fatal(err)
	}
	image.Layers = append(image.Layers, registrytest.Layer{Files: []registrytest.File{{Name: "bin/inside", Body: body, Mode: 0o755}}})
	image.Layers = append(image.Layers, more...)
	if _, err := image.Push(t.Context(), registryServer.Host, "skerry/"+name, "latest"); err != nil {
		t.Fatal(err)
	}
	return registryServer.Host + "/skerry/" + name + ":latest"
}

// plant makes a tree of everything that a file system can have.
func plant(t *testing.T, dir string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(dir, name) }
	long := strings.Repeat("n", 255)
	for _, d := range []string{"wide", "deep/" + strings.Repeat("d/", 50), "gone", long} {
		must(t, os.MkdirAll(at(d), 0o755))
	}
	for i := range 2000 {
		must(t, os.WriteFile(at(fmt.Sprintf("wide/file %d", i)), []byte(strconv.Itoa(i)), 0o640))
	}
	must(t, os.WriteFile(at("large"), bytes.Repeat(pattern("large"), 3), 0o600))
	must(t, os.WriteFile(at("gone/hidden"), []byte("hidden"), 0o600))
	must(t, os.WriteFile(at("sparse"), []byte("start"), 0o604))
	must(t, os.Truncate(at("sparse"), 100<<20))
	must(t, os.WriteFile(at("\xff\xfe odd\n"), nil, 0o644))
	must(t, os.WriteFile(at("owned"), []byte("x"), 0o644))
	must(t, os.Lchown(at("owned"), 4000000000, 70000))
	must(t, os.Chmod(at("owned"), 0o755|os.ModeSetuid|os.ModeSetgid))
	must(t, os.Link(at("large"), at("linked")))
	must(t, os.Symlink(strings.Repeat("../x/", 100), at("slow")))
	must(t, os.Symlink("large", at("fast")))
	must(t, unix.Mkfifo(at("fifo"), 0o622))
	must(t, unix.Mknod(at("char"), unix.S_IFCHR|0o620, int(unix.Mkdev(1, 3))))
	must(t, unix.Mknod(at("block"), unix.S_IFBLK|0o660, int(unix.Mkdev(259, 70000))))
	must(t, unix.Setxattr(at("owned"), "user.small", []byte("\x00value"), 0))
	must(t, unix.Setxattr(at("large"), "user.large", bytes.Repeat([]byte("v"), 3000), 0))
	must(t, unix.Setxattr(at("owned"), "security.capability", []byte("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0))
	must(t, os.Chtimes(at("fast"), time.Time{}, time.Time{}))
	must(t, os.Chtimes(at("sparse"), time.Time{}, time.Unix(5_000_000_000, 123456789)))
	must(t, os.Chtimes(at("wide"), time.Time{}, time.Unix(-1, 1)))
}

// archive packs a tree with GNU tar.
func archive(t *testing.T, dir, name string) []byte {
	t.Helper()
	out, err := exec.Command("tar", "-C", dir, "--format=pax", "--xattrs", "--xattrs-include=*", "-cSf", "-", name).Output()
	if err != nil {
		t.Fatalf("tar: %v", err)
	}
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTreeInTheMachine compares a tree on this host with what a container sees
// of it, after GNU tar, a registry, two layers, our file system and the
// guest's overlay.
func TestTreeInTheMachine(t *testing.T) {
	tree := t.TempDir()
	plant(t, filepath.Join(tree, "data"))
	lower := archive(t, tree, "data")
	must(t, os.RemoveAll(filepath.Join(tree, "data/gone")))
	must(t, os.WriteFile(filepath.Join(tree, "data/wide/file 7"), []byte("another"), 0o600))
	upper := archive(t, tree, "data/wide/file 7")
	a := shared(t)
	ref := insideImage(t, "tree", registrytest.Layer{Tar: lower}, registrytest.Layer{Tar: upper, Compression: registrytest.Zstd},
		registrytest.Layer{Files: []registrytest.File{{Name: "data/.wh.gone"}}})
	var got ext4test.Manifest
	out := a.ok("skerry", "run", "--rm", "--privileged", ref, "inside", "manifest", "/data")
	if err := gob.NewDecoder(strings.NewReader(out)).Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := ext4test.Walk(t, filepath.Join(tree, "data"))
	want["."] = got["."] // made anew by the removal, which no layer tells
	for _, m := range []ext4test.Manifest{want, got} {
		for path, e := range m {
			if e.Mode&unix.S_IFMT == unix.S_IFDIR {
				e.Nlink = 0 // as the host's file system counts
			}
			e.Mtime = e.Mtime.UTC()
			m[path] = e
		}
	}
	wide := want["wide"]
	wide.Mtime = got["wide"].Mtime // changed by the new file
	want["wide"] = wide
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the tree in the container (-host +container):\n%.4000s", diff)
	}
	a.ok("skerry", "rmi", ref)
}

// TestGrowInTheMachine gives a container's disk more room while it is stopped,
// and has the kernel of the running machine take it.
func TestGrowInTheMachine(t *testing.T) {
	a := shared(t)
	ref := insideImage(t, "grow")
	id := strings.TrimSpace(a.ok("skerry", "run", "-d", "--privileged", ref, "sleep", "1000"))
	a.ok("skerry", "exec", id, "sh", "-c", "echo kept >/mark")
	a.ok("skerry", "stop", "-t", "0", id)
	disk := filepath.Join(a.home, "containers", id, "scratch.ext4")
	const size = 40 << 30
	must(t, os.Truncate(disk, size))
	a.ok("skerry", "start", id)
	out := strings.TrimSpace(a.ok("skerry", "exec", "--privileged", id, "inside", "grow", "/dev/vdc"))
	if got, err := strconv.ParseInt(out, 10, 64); err != nil || got < size*9/10 {
		t.Errorf("the file system has %q bytes after growing to %d", out, int64(size))
	}
	a.ok("skerry", "exec", id, "sh", "-c", "echo more >>/mark")
	a.ok("skerry", "stop", "-t", "0", id)
	ext4test.Fsck(t, disk)
	a.ok("skerry", "start", id)
	if mark := a.ok("skerry", "exec", id, "cat", "/mark"); mark != "kept\nmore\n" {
		t.Errorf("what the container has written is now %q", mark)
	}
	a.ok("skerry", "rm", "-f", id)
	a.ok("skerry", "rmi", ref)
}
