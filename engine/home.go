package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// home is the layout of a state directory.
type home string

func (h home) images() string             { return filepath.Join(string(h), "images") }
func (h home) disks() string              { return filepath.Join(string(h), "disks") }
func (h home) containers() string         { return filepath.Join(string(h), "containers") }
func (h home) container(id string) string { return filepath.Join(h.containers(), id) }
func (h home) volumes() string            { return filepath.Join(string(h), "volumes") }
func (h home) volume(name string) string  { return filepath.Join(h.volumes(), name) }
func (h home) record(id string) string    { return filepath.Join(h.container(id), "container.json") }
func (h home) scratch(id string) string   { return filepath.Join(h.container(id), "scratch.ext4") }
func (h home) swap(id string) string      { return filepath.Join(h.container(id), "swap") }
func (h home) output(id string) string    { return filepath.Join(h.container(id), "output") }
func (h home) console(id string) string   { return filepath.Join(h.container(id), "console") }

// A container's directory is made and removed under a name with one of these
// prefixes, so that what a crash leaves is never taken for a container.
const (
	prefixNew  = ".new-"
	prefixGone = ".gone-"
)

func (h home) make() error {
	for _, dir := range []string{string(h), h.containers(), h.volumes()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make state directory: %w", err)
		}
	}
	return nil
}

// writeFile puts data at path so that a crash or a full disk leaves either the
// old content or the new, never a part (rename(2)).
func writeFile(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
