package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestWrite has e2fsprogs look at the disk.
func TestWrite(t *testing.T) {
	for _, tool := range []string{"e2fsck", "debugfs"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is missing: install e2fsprogs", tool)
		}
	}
	dir := t.TempDir()
	program, first, second := filepath.Join(dir, "program"), filepath.Join(dir, "first"), filepath.Join(dir, "second")
	text := bytes.Repeat([]byte("vminitd\n"), 100_000)
	if err := os.WriteFile(program, text, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, output := range []string{first, second} {
		if err := write(program, output); err != nil {
			t.Fatal(err)
		}
	}
	a, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(second)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Error("the same program gave different bytes")
	}
	if out, err := exec.Command("e2fsck", "-fn", first).CombinedOutput(); err != nil {
		t.Errorf("e2fsck: %v\n%s", err, out)
	}
	debugfs := func(request string) string {
		out, err := exec.Command("debugfs", "-R", request, first).Output()
		if err != nil {
			t.Errorf("debugfs %s: %v", request, err)
		}
		return string(out)
	}
	if debugfs("cat /sbin/vminitd") != string(text) {
		t.Error("the program is another")
	}
	if stat := debugfs("stat /sbin/vminitd"); !strings.Contains(stat, "Mode:  0755") {
		t.Errorf("it cannot be executed: %s", stat)
	}
	for _, name := range mountPoints {
		if stat := debugfs("stat /" + name); !strings.Contains(stat, "Type: directory") {
			t.Errorf("/%s: %s", name, stat)
		}
	}
	if err := write(filepath.Join(dir, "nonesuch"), first); err == nil {
		t.Error("a program that is missing made a disk")
	}
	if now, err := os.ReadFile(first); err != nil || !bytes.Equal(now, a) {
		t.Error("a failure changed the disk that was there")
	}
}
