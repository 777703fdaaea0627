package ext4

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/skerry-app/skerry/ext4/format"
)

// Blob is the contents of a regular file, which is in its final place in the
// file system already. Files may share a Blob only by being the same Node.
type Blob struct {
	size    int64
	extents []format.Extent
}

// Size returns the length in bytes.
func (b *Blob) Size() int64 { return b.size }

// Data writes the contents of a file: size bytes of r. Blocks of zeros become
// holes. An error of r is returned with its chain intact; io.ErrUnexpectedEOF
// is in the chain when r ends early.
func (w *Writer) Data(r io.Reader, size int64) (*Blob, error) {
	b, err := w.data(r, size)
	if err != nil {
		w.Discard(b)
		return nil, err
	}
	return b, nil
}

// placer puts blocks to where there is room.
type placer struct {
	from interface {
		// alloc returns up to n blocks in a row.
		alloc(n uint64) (run, error)
	}
	out stream
}

// data is Data. Beside an error it returns what has been written.
func (p *placer) data(r io.Reader, size int64) (*Blob, error) {
	if size < 0 || size >= format.MaxFile {
		return nil, fmt.Errorf("file of %d bytes: ext4 has files below %d", size, int64(format.MaxFile))
	}
	b := &Blob{size: size}
	for done := int64(0); done < size; {
		room, err := p.out.room()
		if err != nil {
			return b, err
		}
		n, err := io.ReadFull(r, room[:min(size-done, int64(len(room)))])
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return b, fmt.Errorf("read at byte %d of %d: %w", done+int64(n), size, err)
		}
		whole := int(roundUp(uint64(n), format.BlockSize))
		clear(room[n:whole])
		if err := p.chunk(b, uint32(done/format.BlockSize), room[:whole]); err != nil {
			return b, err
		}
		done += int64(n)
	}
	return b, nil
}

// chunk writes whole blocks of a file, from the given one on, but for those
// that are zero.
func (p *placer) chunk(b *Blob, logical uint32, blocks []byte) error {
	for len(blocks) > 0 {
		n, zero := sameBlocks(blocks)
		if !zero {
			if err := p.place(b, logical, blocks[:n*format.BlockSize]); err != nil {
				return err
			}
		}
		logical += uint32(n)
		blocks = blocks[n*format.BlockSize:]
	}
	return nil
}

// place writes blocks of a file to free ones.
func (p *placer) place(b *Blob, logical uint32, blocks []byte) error {
	for len(blocks) > 0 {
		r, err := p.from.alloc(uint64(len(blocks) / format.BlockSize))
		if err != nil {
			return err
		}
		n := int(r.n) * format.BlockSize
		if err := p.out.put(r.start, blocks[:n]); err != nil {
			return err
		}
		b.extents = appendExtent(b.extents, logical, r)
		logical += uint32(r.n)
		blocks = blocks[n:]
	}
	return nil
}

// Discard gives back the room that a blob takes. No file may have it.
func (w *Writer) Discard(b *Blob) {
	if b == nil {
		return
	}
	for _, e := range b.extents {
		w.alloc.release(run{e.Physical, uint64(e.Len)})
	}
	b.extents = nil
}

// appendExtent maps blocks of a file from logical on to r, which is not longer
// than an extent can be.
func appendExtent(extents []format.Extent, logical uint32, r run) []format.Extent {
	if i := len(extents) - 1; i >= 0 {
		e := &extents[i]
		follows := e.Logical+e.Len == logical && e.Physical+uint64(e.Len) == r.start
		if follows && uint64(e.Len)+r.n <= format.MaxExtent {
			e.Len += uint32(r.n)
			return extents
		}
	}
	return append(extents, format.Extent{Logical: logical, Len: uint32(r.n), Physical: r.start})
}

var zeroBlock [format.BlockSize]byte

// sameBlocks returns how many blocks at the start of p are alike in being zero
// or not.
func sameBlocks(p []byte) (n int, zero bool) {
	zero = isZero(p[:format.BlockSize])
	for n = 1; n*format.BlockSize < len(p); n++ {
		if isZero(p[n*format.BlockSize:(n+1)*format.BlockSize]) != zero {
			break
		}
	}
	return n, zero
}

func isZero(block []byte) bool {
	return binary.NativeEndian.Uint64(block) == 0 && bytes.Equal(block, zeroBlock[:])
}
