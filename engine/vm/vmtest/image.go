// Package vmtest holds the tests that every driver of virtual machines passes.
// They boot a real kernel with a small guest program as its init process.
package vmtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const guestPackage = "github.com/skerry-app/skerry/engine/vm/vmtest/guest"

// Image builds the guest program for an architecture and makes a file system
// image of it, to be the root file system of a machine: "root=/dev/vda
// init=/init". It skips the test where the tools for that are missing.
func Image(t *testing.T, arch string) string {
	t.Helper()
	mke2fs, err := exec.LookPath("mke2fs")
	if err != nil {
		t.Skip("mke2fs is missing: install e2fsprogs")
	}
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	for _, d := range []string{"dev", "proc", "sys"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(root, "init"), guestPackage)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the guest: %v\n%s", err, out)
	}
	image := filepath.Join(dir, "guest.ext4")
	format := exec.Command(mke2fs, "-q", "-t", "ext4", "-O", "^has_journal", "-d", root, image, "16m")
	if out, err := format.CombinedOutput(); err != nil {
		t.Fatalf("make the guest's image: %v\n%s", err, out)
	}
	return image
}
