// Package layers turns the layers of a container image, tar archives with
// whiteouts, into one ext4 file system.
//
// Layers are read in order and each to its very end, with every checksum on
// the way. File data goes straight to its place in the file system; names are
// merged in memory afterwards, layer by layer, by the rules of the OCI image
// specification ("Image Layer Filesystem Changeset"). Nothing of a layer ever
// touches the host's file system.
package layers

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"

	"github.com/skerry-app/skerry/ext4"
)

// What an image may have at most, all layers together.
const (
	// MaxBytes is the default for Options.MaxBytes.
	MaxBytes = 128 << 30
	// maxNodes is the number of archive entries and of directories that are
	// made because an entry needs them.
	maxNodes = 2 << 20
	// maxMetadata is how many bytes of names, link targets and extended
	// attributes are kept.
	maxMetadata = 512 << 20
	// maxPath is the longest path in an archive, in bytes (PATH_MAX).
	maxPath = 4096
	// maxDepth is how many directories may be in each other.
	maxDepth = 1024
)

// Layer is one layer of an image.
type Layer struct {
	// Open returns the layer as it is stored. Reading from it must end soon
	// when ctx does. It is read once, to the end, and closed.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// MediaType is the layer's type by its manifest; empty when unknown. What
	// the compression really is, is seen from the first bytes.
	MediaType string
	// Digest names the layer in errors.
	Digest digest.Digest
	// DiffID is the digest of the layer's archive without compression, and is
	// verified. Empty when it is not known.
	DiffID digest.Digest
	// Size is the number of bytes that Open gives; only for progress.
	Size int64
}

// Options say what to make of layers.
type Options struct {
	// ID names the image, by its configuration for example. The file
	// system's UUID is derived from it.
	ID digest.Digest
	// Size of the file system in bytes; 0 for one that is as large as its
	// contents and only good for reading.
	Size int64
	// MaxBytes limits the bytes of all archives, and those of all files with
	// their holes; 0 for the constant MaxBytes.
	MaxBytes int64
	// Progress, if set, is called now and then with the bytes read so far and
	// the sum of all Sizes.
	Progress func(done, total int64)
}

// Summary says what was written.
type Summary struct {
	ext4.Summary
	Entries int   // in all archives
	Bytes   int64 // of all archives
}

// Write makes in f, which it empties, the file system that the layers make,
// the lowest first. The same layers and options make the same bytes. It does
// not sync f; after an error f is of no use. An error says which layer, and
// where it can, which entry is to blame.
func Write(ctx context.Context, f *os.File, ls []Layer, o Options) (Summary, error) {
	if err := o.ID.Validate(); err != nil {
		return Summary{}, fmt.Errorf("write image: ID %q: %w", o.ID, err)
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = MaxBytes
	}
	w, err := ext4.NewWriter(f, ext4.Options{Size: o.Size, UUID: imageUUID(o.ID)})
	if err != nil {
		return Summary{}, err
	}
	img := image{ctx: ctx, options: o, writer: w}
	img.tree = tree{root: ext4.NewDir(0o755), gone: func(n *ext4.Node) { w.Discard(n.Data) }, spent: &img.spent}
	for _, l := range ls {
		img.total += l.Size
	}
	for i, l := range ls {
		if err := img.add(l); err != nil {
			return Summary{}, fmt.Errorf("layer %d of %d (%s): %w", i+1, len(ls), l.Digest, err)
		}
	}
	s, err := w.Close(img.tree.root)
	if err != nil {
		return Summary{}, err
	}
	return Summary{Summary: s, Entries: img.entries, Bytes: img.spent.archive}, nil
}

// imageUUID derives a UUID of version 8 (RFC 9562) from an image's ID.
func imageUUID(id digest.Digest) (u [16]byte) {
	sum := sha256.Sum256([]byte("ext4 " + id.String()))
	copy(u[:], sum[:])
	u[6] = u[6]&0x0F | 0x80
	u[8] = u[8]&0x3F | 0x80
	return u
}

// image is one image while it is made.
type image struct {
	ctx         context.Context
	options     Options
	writer      *ext4.Writer
	tree        tree
	spent       spent
	entries     int
	done, total int64 // compressed bytes
}

// spent counts what is limited.
type spent struct {
	nodes, metadata int
	archive, files  int64
}

// node takes one more node with so many bytes of metadata into account.
func (s *spent) node(metadata int) error {
	s.nodes++
	s.metadata += metadata
	if s.nodes > maxNodes {
		return fmt.Errorf("image has more than %d entries", maxNodes)
	}
	if s.metadata > maxMetadata {
		return fmt.Errorf("image has more than %d MiB of names and attributes", maxMetadata>>20)
	}
	return nil
}

// add reads one layer and merges it into the tree.
func (m *image) add(l Layer) error {
	rc, err := l.Open(m.ctx)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	c, err := m.read(l, rc)
	if err := errors.Join(err, rc.Close()); err != nil {
		return err
	}
	return m.tree.apply(c)
}

// read reads one layer to its end and returns its entries.
func (m *image) read(l Layer, rc io.Reader) (*changeset, error) {
	plain, err := decompress(&input{image: m, r: rc}, l.MediaType)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	a := archive{image: m, r: plain}
	if l.DiffID != "" {
		if err := l.DiffID.Validate(); err != nil {
			return nil, fmt.Errorf("diff ID %q: %w", l.DiffID, err)
		}
		a.verifier = l.DiffID.Verifier()
	}
	c, err := a.read()
	if err != nil {
		return nil, err
	}
	if a.verifier != nil && !a.verifier.Verified() {
		return nil, fmt.Errorf("contents are not those of the diff ID %s: the layer is damaged, or belongs to another image", l.DiffID)
	}
	return c, nil
}

// input is the stored layer: it ends with the context and reports progress.
type input struct {
	image *image
	r     io.Reader
}

func (i *input) Read(p []byte) (int, error) {
	m := i.image
	if err := context.Cause(m.ctx); err != nil {
		return 0, err
	}
	n, err := i.r.Read(p)
	m.done += int64(n)
	if m.options.Progress != nil && n > 0 {
		m.options.Progress(m.done, m.total)
	}
	return n, err
}
