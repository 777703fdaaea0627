package registry

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/containerd/errdefs"
)

// writeFile gives a file new content whole or not at all, also when the machine
// loses power. The content is written to a file in the ingest directory first,
// which Open clears up.
func (s *Store) writeFile(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Join(s.dir, ingestDir), "file-")
	if err != nil {
		return s.diskError(err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(data); err != nil {
		return s.diskError(err)
	}
	return s.publish(f, path)
}

// publish flushes a complete file to disk, closes it and moves it to its place.
func (s *Store) publish(f *os.File, path string) error {
	if err := f.Sync(); err != nil {
		return s.diskError(err)
	}
	if err := f.Close(); err != nil {
		return s.diskError(err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return s.diskError(err)
	}
	return s.diskError(syncDir(filepath.Dir(path)))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// diskError names the directory when it was the lack of space that made a write
// fail.
func (s *Store) diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: no space left for images in %s: free some, or remove images: %w", errdefs.ErrResourceExhausted, s.dir, err)
	}
	return err
}
