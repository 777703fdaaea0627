// Package image makes the disks of containers: one read-only ext4 file for
// each image, shared by all its containers, and a sparse scratch disk for each
// container.
package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/skerry-app/skerry/ext4/layers"
	"github.com/skerry-app/skerry/registry"
)

const (
	// prefixTemporary marks files that are not finished.
	prefixTemporary = ".tmp-"
	// suffix is what an image's disk is known by, behind the image's ID.
	suffix = ".ext4"
)

// Cache holds the images' disks in a directory of its own. Its methods may be
// called from any goroutine.
type Cache struct {
	dir   string
	store *registry.Store

	mu   sync.Mutex
	busy map[digest.Digest]chan struct{} // closed when the disk of this image has been made, or not
}

// Open takes a directory into use and deletes what a crash has left unfinished.
func Open(dir string, store *registry.Store) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory for disks: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read directory of disks: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefixTemporary) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return nil, fmt.Errorf("delete unfinished disk: %w", err)
			}
		}
	}
	return &Cache{dir: dir, store: store, busy: map[digest.Digest]chan struct{}{}}, nil
}

func (c *Cache) path(id digest.Digest) string { return filepath.Join(c.dir, id.Encoded()+suffix) }

// Image returns the path of an image's disk and makes it first where there is
// none. Of several callers one makes it and the others wait.
func (c *Cache) Image(ctx context.Context, id digest.Digest) (string, error) {
	return c.disk(ctx, id, func() ([]registry.Layer, error) {
		img, err := c.store.Image(id.String())
		if err != nil {
			return nil, err
		}
		return c.store.Layers(img)
	})
}

// Make is Image for an image that is not in the store yet, of whose layers some
// may still be arriving.
func (c *Cache) Make(ctx context.Context, id digest.Digest, from []registry.Layer) (string, error) {
	return c.disk(ctx, id, func() ([]registry.Layer, error) { return from, nil })
}

func (c *Cache) disk(ctx context.Context, id digest.Digest, from func() ([]registry.Layer, error)) (string, error) {
	if err := id.Validate(); err != nil {
		return "", fmt.Errorf("image %q: %w", id, err)
	}
	path := c.path(id)
	for {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("disk of image %s: %w", id, err)
		}
		mine, done := c.claim(id)
		if mine {
			stored, err := from()
			if err == nil {
				err = fill(ctx, id, stored, path)
			}
			c.release(id, done)
			if err != nil {
				return "", fmt.Errorf("make disk of image %s: %w", id, err)
			}
			return path, nil
		}
		select {
		case <-done:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// claim gives the making of a disk to one caller; done closes when it ends.
func (c *Cache) claim(id digest.Digest) (mine bool, done chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if done, ok := c.busy[id]; ok {
		return false, done
	}
	done = make(chan struct{})
	c.busy[id] = done
	return true, done
}

func (c *Cache) release(id digest.Digest, done chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy, id)
	close(done)
}

// fill writes an image's disk. It gets its name when it is complete and on
// disk.
func fill(ctx context.Context, id digest.Digest, stored []registry.Layer, path string) error {
	var ls []layers.Layer
	for _, l := range stored {
		ls = append(ls, layers.Layer{Open: l.Open, MediaType: l.MediaType, Digest: l.Digest, DiffID: l.DiffID, Size: l.Size})
	}
	return write(path, func(f *os.File) error {
		_, err := layers.Write(ctx, f, ls, layers.Options{ID: id})
		return err
	})
}

// write makes a file whole or not at all.
func write(path string, contents func(*os.File) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), prefixTemporary)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := contents(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// IDs returns the images that have a disk.
func (c *Cache) IDs() ([]digest.Digest, error) {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return nil, fmt.Errorf("list disks: %w", err)
	}
	var ids []digest.Digest
	for _, e := range entries {
		encoded, ok := strings.CutSuffix(e.Name(), suffix)
		if id := digest.NewDigestFromEncoded(digest.SHA256, encoded); ok && id.Validate() == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Remove deletes an image's disk, if there is one. A machine that has it open
// keeps it until it ends.
func (c *Cache) Remove(id digest.Digest) error {
	if err := os.Remove(c.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete disk of image %s: %w", id, err)
	}
	return nil
}
