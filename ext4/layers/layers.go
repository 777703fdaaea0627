// Package layers turns the layers of a container image, tar archives with
// whiteouts, into one ext4 file system.
//
// Layers are read side by side and each to its very end, with every checksum
// on the way; they may still be arriving. File data goes straight to its place
// in the file system; names are merged in memory afterwards, layer by layer, by
// the rules of the OCI image specification ("Image Layer Filesystem
// Changeset"). Nothing of a layer ever touches the host's file system.
package layers

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/skerry-app/skerry/ext4"
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
	// Size is the number of bytes that Open gives; for progress, and for
	// where the layer's data goes.
	Size int64
}

// Options say what to make of layers.
type Options struct {
	// ID names the image, by its configuration for example. The file
	// system's UUID is derived from it.
	ID digest.Digest
	// Size of the file system in bytes; 0 for one that is as large as its
	// contents and only good for reading. Into one of a given size layers are
	// written one after the other.
	Size int64
	// MaxBytes limits the bytes of all archives, and those of all files with
	// their holes; 0 for the constant MaxBytes.
	MaxBytes int64
	// Progress, if set, is called now and then, one call at a time, with the
	// bytes read so far and the sum of all Sizes.
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
	img := image{options: o, spent: spent{maxBytes: o.MaxBytes}}
	t := tree{root: ext4.NewDir(0o755), gone: func(n *ext4.Node) { w.Discard(n.Data) }, spent: &img.spent}
	changes, err := img.readAll(ctx, w, ls)
	if err != nil {
		return Summary{}, err
	}
	for i, c := range changes {
		if err := t.apply(c); err != nil {
			return Summary{}, blame(ls, i, err)
		}
	}
	s, err := w.Close(t.root)
	if err != nil {
		return Summary{}, err
	}
	return Summary{Summary: s, Entries: int(img.entries.Load()), Bytes: img.spent.archives.Load()}, nil
}

// blame says in an error which layer it is about.
func blame(ls []Layer, i int, err error) error {
	return fmt.Errorf("layer %d of %d (%s): %w", i+1, len(ls), ls[i].Digest, err)
}

// imageUUID derives a UUID of version 8 (RFC 9562) from an image's ID.
func imageUUID(id digest.Digest) (u [16]byte) {
	sum := sha256.Sum256([]byte("ext4 " + id.String()))
	copy(u[:], sum[:])
	u[6] = u[6]&0x0F | 0x80
	u[8] = u[8]&0x3F | 0x80
	return u
}

// image is one image while its layers are read.
type image struct {
	options Options
	total   int64 // compressed bytes
	entries atomic.Int64
	spent   spent

	mu   sync.Mutex // also for calls of options.Progress
	done int64      // compressed bytes read
}

// readAll reads all layers, as many at a time as there are processors, and
// writes their files' contents.
func (m *image) readAll(ctx context.Context, w *ext4.Writer, ls []Layer) ([]*changeset, error) {
	var weights []int64
	for _, l := range ls {
		m.total += l.Size
		weights = append(weights, l.Size)
	}
	lanes := w.Lanes(weights)
	changes := make([]*changeset, len(ls))
	group, ctx := errgroup.WithContext(ctx)
	if group.SetLimit(runtime.GOMAXPROCS(0)); m.options.Size != 0 {
		group.SetLimit(1)
	}
	for i, l := range ls {
		group.Go(func() (err error) {
			if changes[i], err = m.read(ctx, l, lanes[i]); err != nil {
				return blame(ls, i, err)
			}
			return nil
		})
	}
	return changes, group.Wait()
}

// read reads one layer to its end and returns its entries.
func (m *image) read(ctx context.Context, l Layer, lane *ext4.Lane) (*changeset, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stored, err := l.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	c, err := m.unpack(ctx, cancel, l, stored, lane)
	if err := errors.Join(err, stored.Close()); err != nil {
		return nil, err
	}
	return c, lane.Close()
}

// unpack reads a stored layer to its end. It calls cancel where it does not get
// there.
func (m *image) unpack(ctx context.Context, cancel func(), l Layer, stored io.Reader, lane *ext4.Lane) (*changeset, error) {
	plain, err := decompress(&input{ctx: ctx, image: m, r: stored}, l.MediaType)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	var diffID digest.Verifier
	hash := io.Discard
	if l.DiffID != "" {
		if err := l.DiffID.Validate(); err != nil {
			return nil, fmt.Errorf("diff ID %q: %w", l.DiffID, err)
		}
		diffID = l.DiffID.Verifier()
		hash = diffID
	}
	meter := &metered{r: plain, spent: &m.spent}
	ahead := newReadAhead(meter, hash)
	a := archive{ctx: ctx, image: m, lane: lane, r: ahead}
	c, err := a.read()
	if err != nil {
		cancel()
	}
	ahead.Close()
	switch {
	case err != nil:
		return nil, err
	case diffID == nil && meter.length%tarBlock != 0: // the tar reader takes an end within padding for the archive's
		return nil, fmt.Errorf("archive of %d bytes is cut off: %w", meter.length, io.ErrUnexpectedEOF)
	case diffID != nil && !diffID.Verified():
		return nil, fmt.Errorf("contents are not those of the diff ID %s: the layer is damaged, or belongs to another image", l.DiffID)
	}
	return c, nil
}

// input is the stored layer: it ends with the context and reports progress.
type input struct {
	ctx   context.Context
	image *image
	r     io.Reader
}

func (i *input) Read(p []byte) (int, error) {
	if err := context.Cause(i.ctx); err != nil {
		return 0, err
	}
	n, err := i.r.Read(p)
	i.image.progress(n)
	return n, err
}

// progress takes n more bytes into account.
func (m *image) progress(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += int64(n)
	if m.options.Progress != nil && n > 0 {
		m.options.Progress(m.done, m.total)
	}
}
