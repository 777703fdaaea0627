// Package vmtest holds the tests that every driver of virtual machines passes.
// They boot a real kernel with a small guest program as its init process.
package vmtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/skerry-app/skerry/ext4"
)

const guestPackage = "github.com/skerry-app/skerry/engine/vm/vmtest/guest"

// Image builds the guest program for an architecture and makes a file system
// image of it, to be the root file system of a machine: "root=/dev/vda
// init=/init".
func Image(t *testing.T, arch string) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "init")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, guestPackage)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the guest: %v\n%s", err, out)
	}
	image := filepath.Join(dir, "guest.ext4")
	if err := format(image, program); err != nil {
		t.Fatalf("make the guest's image: %v", err)
	}
	return image
}

// format writes a file system with the program as /init and the directories that
// it and the kernel mount over.
func format(image, program string) error {
	in, err := os.Open(program)
	if err != nil {
		return err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.Create(image)
	if err != nil {
		return err
	}
	defer out.Close()
	w, err := ext4.NewWriter(out, ext4.Options{Label: "guest"})
	if err != nil {
		return err
	}
	data, err := w.Data(in, st.Size())
	if err != nil {
		return err
	}
	root := ext4.NewDir(0o755)
	root.Set("init", ext4.NewFile(0o755, data))
	for _, name := range []string{"dev", "proc", "sys"} {
		root.Set(name, ext4.NewDir(0o755))
	}
	if _, err := w.Close(root); err != nil {
		return err
	}
	return out.Close()
}
