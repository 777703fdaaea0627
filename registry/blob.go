package registry

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxDocument limits manifests, indexes and configurations in bytes; registries
// limit manifests to the same (distribution-spec, "pushing manifests").
const maxDocument = 4 << 20

// checkDigest accepts the one algorithm that the store's layout has a place for.
// Blob paths derive from digests that have passed.
func checkDigest(d digest.Digest) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("%w: digest %q: %w", errdefs.ErrInvalidArgument, d, err)
	}
	if d.Algorithm() != digest.SHA256 {
		return fmt.Errorf("%w: digest %q: only sha256 is supported", errdefs.ErrNotImplemented, d)
	}
	return nil
}

// blobPath needs a digest that checkDigest has accepted.
func (s *Store) blobPath(d digest.Digest) string {
	return filepath.Join(s.dir, ocispec.ImageBlobsDir, string(digest.SHA256), d.Encoded())
}

// hasBlob tells whether a blob is there with the size it should have. What it
// contains was compared with its digest before it got its name.
func (s *Store) hasBlob(d ocispec.Descriptor) bool {
	info, err := os.Lstat(s.blobPath(d.Digest))
	return err == nil && info.Mode().IsRegular() && info.Size() == d.Size
}

// openBlob opens a blob for reading. A blob that is not there, or not of the
// size it should have, gives errdefs.ErrDataLoss.
func (s *Store) openBlob(d ocispec.Descriptor) (*os.File, error) {
	if err := checkDigest(d.Digest); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(s.blobPath(d.Digest), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: blob %s of an image cannot be read: remove the image and pull it again: %w", errdefs.ErrDataLoss, d.Digest, err)
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() != d.Size) {
		err = fmt.Errorf("%w: blob %s of an image has %d bytes instead of %d: remove the image and pull it again",
			errdefs.ErrDataLoss, d.Digest, info.Size(), d.Size)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// readBlob returns a document whole and compares it with its digest.
func (s *Store) readBlob(d ocispec.Descriptor) ([]byte, error) {
	if d.Size < 0 || d.Size > maxDocument {
		return nil, fmt.Errorf("%w: %s has %d bytes; more than %d are not accepted", errdefs.ErrInvalidArgument, d.Digest, d.Size, maxDocument)
	}
	f, err := s.openBlob(d)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, d.Size))
	if err != nil {
		return nil, fmt.Errorf("read blob %s: %w", d.Digest, err)
	}
	if got := digest.FromBytes(data); got != d.Digest {
		return nil, fmt.Errorf("%w: blob %s on disk has the digest %s: remove the image and pull it again", errdefs.ErrDataLoss, d.Digest, got)
	}
	return data, nil
}

// writeBlob stores a document. Where it is already, nothing is written.
func (s *Store) writeBlob(d ocispec.Descriptor, data []byte) error {
	if _, err := s.readBlob(d); err == nil {
		return nil
	}
	return s.writeFile(s.blobPath(d.Digest), data)
}

// sweep deletes those of the given blobs that no image and no pull needs. The
// caller holds mu.
func (s *Store) sweep(candidates []digest.Digest) {
	needed := map[digest.Digest]bool{}
	for _, e := range s.entries {
		if e.broken != nil {
			s.log.Warn("unused blobs are kept because an image cannot be read", "manifest", e.manifest.Digest, "error", e.broken)
			return
		}
		for _, d := range e.blobs() {
			needed[d] = true
		}
	}
	for _, d := range candidates {
		if needed[d] || s.pins[d] > 0 {
			continue
		}
		if err := os.Remove(s.blobPath(d)); err != nil && !os.IsNotExist(err) {
			s.log.Warn("delete an unused blob", "error", err)
		}
	}
}

// pin keeps blobs from being deleted until unpin.
func (s *Store) pin(blobs []digest.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range blobs {
		s.pins[d]++
	}
}

// unpin ends a pin and deletes those of the blobs that nobody needs.
func (s *Store) unpin(blobs []digest.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range blobs {
		if s.pins[d]--; s.pins[d] == 0 {
			delete(s.pins, d)
		}
	}
	s.sweep(blobs)
}

// ingest makes a directory for one pull's unfinished files.
func (s *Store) ingest() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp(filepath.Join(s.dir, ingestDir), "pull-")
	if err != nil {
		return "", nil, s.diskError(err)
	}
	return dir, func() {
		if err := os.RemoveAll(dir); err != nil && !os.IsNotExist(err) {
			s.log.Warn("delete what is left of a pull", "error", err)
		}
	}, nil
}
