//go:build linux

package agent_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const (
	passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\nanna:x:1000:100:Anna:/home/anna:/bin/sh\n"
	group  = "root:x:0:\nusers:x:100:\naudio:x:29:anna\nnogroup:x:65534:\n"
)

// probe builds the program of that name once.
var probe = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "probe-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "probe")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "./internal/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
})

// newImage makes a disk with a small user land in it: busybox, probe and what
// tests of programs that cannot be executed need. change may do more.
func newImage(t testing.TB, change func(dir string)) string {
	t.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("busybox is missing: install busybox-static")
	}
	applets, err := exec.Command(busybox, "--list").Output()
	must(t, err)
	dir := t.TempDir()
	for _, d := range []string{"bin", "etc", "tmp", "root", "home/anna", "opt/tools"} {
		must(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	write := func(name, text string, mode os.FileMode) {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), mode))
	}
	program, err := os.ReadFile(busybox)
	must(t, err)
	write("bin/busybox", string(program), 0o755)
	for _, a := range strings.Fields(string(applets)) {
		if a != "busybox" {
			must(t, os.Symlink("busybox", filepath.Join(dir, "bin", a)))
		}
	}
	tool, err := probe()
	must(t, err)
	write("bin/probe", string(tool), 0o755)
	write("etc/passwd", passwd, 0o644)
	write("etc/group", group, 0o644)
	write("opt/tools/hello", "#!/bin/sh\necho hello from tools\n", 0o755)
	write("opt/plain", "text", 0o644)
	write("opt/garbage", "\x01\x02\x03", 0o755)
	write("opt/orphan", "#!/no/such/interpreter\n", 0o755)
	if change != nil {
		change(dir)
	}
	return newDisk(t, dir, "64m")
}

// newScratch makes a disk for what a container writes.
func newScratch(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"upper", "work"} {
		must(t, os.Mkdir(filepath.Join(dir, d), 0o755))
	}
	return newDisk(t, dir, "64m")
}

func newDisk(t testing.TB, dir, size string) string {
	t.Helper()
	mke2fs, err := exec.LookPath("mke2fs")
	if err != nil {
		t.Skip("mke2fs is missing: install e2fsprogs")
	}
	path := filepath.Join(t.TempDir(), "disk.ext4")
	if out, err := exec.Command(mke2fs, "-q", "-t", "ext4", "-d", dir, path, size).CombinedOutput(); err != nil {
		t.Fatalf("mke2fs: %v\n%s", err, out)
	}
	return path
}

// wantClean wants a file system that needs no recovery.
func wantClean(t testing.TB, disk string) {
	t.Helper()
	if out, err := exec.Command("e2fsck", "-fn", disk).CombinedOutput(); err != nil {
		t.Errorf("e2fsck: %v\n%s", err, out)
	}
	out, err := exec.Command("dumpe2fs", "-h", disk).CombinedOutput()
	if err != nil || strings.Contains(string(out), "needs_recovery") {
		t.Errorf("the journal was left to be replayed: %v\n%s", err, out)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
