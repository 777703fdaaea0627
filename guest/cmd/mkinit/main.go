// Command mkinit writes the disk that a machine boots from: a read-only ext4
// file system with the programs it is given in /sbin and the directories that
// are mounted over. The same programs give the same bytes.
//
//	mkinit OUTPUT PROGRAM...
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

// mountPoints are the directories that vminitd mounts over.
var mountPoints = []string{"dev", "proc", "run", "sys", "tmp"}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: mkinit OUTPUT PROGRAM...")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "mkinit:", err)
		os.Exit(1)
	}
}

// write makes the disk under another name and renames it when it is complete.
func write(output string, programs []string) (err error) {
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
	if err := fill(f, programs); err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), output)
}

func fill(f *os.File, programs []string) error {
	id, err := digest(programs)
	if err != nil {
		return err
	}
	w, err := ext4.NewWriter(f, ext4.Options{Label: "skerry-init", UUID: id})
	if err != nil {
		return err
	}
	root, sbin := ext4.NewDir(0o755), ext4.NewDir(0o755)
	root.Set("sbin", sbin)
	for _, name := range mountPoints {
		root.Set(name, ext4.NewDir(0o755))
	}
	for _, path := range programs {
		data, err := copyIn(w, path)
		if err != nil {
			return err
		}
		sbin.Set(filepath.Base(path), ext4.NewFile(0o755, data))
	}
	_, err = w.Close(root)
	return err
}

func copyIn(w *ext4.Writer, path string) (*ext4.Blob, error) {
	p, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	st, err := p.Stat()
	if err != nil {
		return nil, err
	}
	return w.Data(p, st.Size())
}

// digest makes the file system's identity from the programs.
func digest(programs []string) (id [16]byte, err error) {
	h := sha256.New()
	for _, path := range programs {
		p, err := os.Open(path)
		if err != nil {
			return id, err
		}
		_, err = io.Copy(h, p)
		p.Close()
		if err != nil {
			return id, err
		}
	}
	copy(id[:], h.Sum(nil))
	return id, nil
}
