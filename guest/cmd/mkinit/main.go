// Command mkinit writes the disk that a machine boots from: a read-only ext4
// file system with vminitd in /sbin and the directories that are mounted over.
// The same program gives the same bytes.
//
//	mkinit PROGRAM OUTPUT
package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/skerry-app/skerry/ext4"
)

// name is what the kernel is told to run: init=/sbin/vminitd.
const name = "vminitd"

// mountPoints are the directories that vminitd mounts over.
var mountPoints = []string{"dev", "proc", "run", "sys", "tmp"}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: mkinit PROGRAM OUTPUT")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "mkinit:", err)
		os.Exit(1)
	}
}

// write makes the disk under another name and renames it when it is complete.
func write(program, output string) (err error) {
	p, err := os.Open(program)
	if err != nil {
		return err
	}
	defer p.Close()
	f, err := os.CreateTemp(filepath.Dir(output), ".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := fill(f, p); err != nil {
		return fmt.Errorf("write %s: %w", output, err)
	}
	if err := errors.Join(f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), output)
}

func fill(f, program *os.File) error {
	// The file system's identity comes from the program.
	h := sha256.New()
	size, err := io.Copy(h, program)
	if err != nil {
		return err
	}
	if _, err := program.Seek(0, io.SeekStart); err != nil {
		return err
	}
	w, err := ext4.NewWriter(f, ext4.Options{Label: "skerry-init", UUID: [16]byte(h.Sum(nil))})
	if err != nil {
		return err
	}
	data, err := w.Data(program, size)
	if err != nil {
		return err
	}
	root, sbin := ext4.NewDir(0o755), ext4.NewDir(0o755)
	sbin.Set(name, ext4.NewFile(0o755, data))
	root.Set("sbin", sbin)
	for _, dir := range mountPoints {
		root.Set(dir, ext4.NewDir(0o755))
	}
	_, err = w.Close(root)
	return err
}
