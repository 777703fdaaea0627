// Package tree lays out the files of a package: what goes where, with modes that
// do not depend on who builds.
package tree

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Tree is a directory that files are laid out in. The first failure is kept, and
// nothing is done after it.
type Tree struct {
	root string
	err  error
}

// New begins a tree in a directory that must not have anything in it yet.
func New(root string) *Tree {
	t := &Tree{root: root}
	if t.err = os.MkdirAll(root, 0o755); t.err == nil {
		var entries []os.DirEntry
		if entries, t.err = os.ReadDir(root); len(entries) > 0 {
			t.err = fmt.Errorf("%s is not empty: delete it", root)
		}
	}
	return t
}

// Err is the first failure.
func (t *Tree) Err() error { return t.err }

// place makes the directory of a file, and returns the file's path.
func (t *Tree) place(name string) string {
	path := filepath.Join(t.root, name)
	if t.err == nil {
		t.err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	return path
}

// Write lays out a file with these contents.
func (t *Tree) Write(name string, contents []byte) {
	if path := t.place(name); t.err == nil {
		t.err = os.WriteFile(path, contents, 0o644)
	}
}

// Copy lays out a copy of a file, which others may run if mode says so.
func (t *Tree) Copy(name, source string, mode os.FileMode) {
	path := t.place(name)
	if t.err != nil {
		return
	}
	t.err = copyFile(path, source, mode)
}

func copyFile(path, source string, mode os.FileMode) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(mode), out.Close())
}

// Link lays out a symbolic link.
func (t *Tree) Link(name, target string) {
	if path := t.place(name); t.err == nil {
		t.err = os.Symlink(target, path)
	}
}

// Completions lays out the shells' completion files as a skerry that runs here
// prints them, by the names that are given for bash, zsh and fish.
func (t *Tree) Completions(skerry string, names map[string]string) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if t.err != nil {
			return
		}
		cmd := exec.Command(skerry, "completion", shell)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.err = fmt.Errorf("%s: %w", cmd, err)
			return
		}
		t.Write(names[shell], out)
	}
}
