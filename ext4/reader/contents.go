package reader

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"github.com/skerry-app/skerry/ext4/format"
)

// Contents are those of a regular file. Its methods can be called at the same
// time.
type Contents struct {
	in     *Inode
	inline []byte // all of them, for those that are in the inode
	last   atomic.Pointer[span]
}

// Contents returns the contents of a regular file.
func (in *Inode) Contents() (*Contents, error) {
	if in.Mode&format.TypeMask != format.TypeFile {
		return nil, fmt.Errorf("inode %d: %w", in.Number, errNotRegular)
	}
	return in.contents()
}

var errNotRegular = errors.New("not a regular file")

// contents is Contents for inodes of every type that has data.
func (in *Inode) contents() (*Contents, error) {
	if in.flags&format.InodeEncrypted != 0 {
		return nil, fmt.Errorf("inode %d is encrypted: %w", in.Number, errors.ErrUnsupported)
	}
	c := &Contents{in: in}
	if in.flags&format.InodeInlineData != 0 {
		var err error
		c.inline, err = in.inlineData()
		return c, err
	}
	return c, nil
}

// inlineData returns contents that are in the inode (inlinedata.rst): first in
// i_block, then in an attribute.
func (in *Inode) inlineData() ([]byte, error) {
	b, err := in.inlineRest()
	if err != nil {
		return nil, err
	}
	b = slices.Concat(in.block[:], b)
	if in.Size > int64(len(b)) {
		return nil, corrupt("inode %d: file has %d bytes, of which %d are in the inode", in.Number, in.Size, len(b))
	}
	return b[:in.Size], nil
}

// inlineRest returns what is in the attribute.
func (in *Inode) inlineRest() ([]byte, error) {
	all, err := format.ParseInodeXattrs(in.xattrs)
	if err != nil {
		return nil, corrupt("inode %d: %w", in.Number, err)
	}
	for _, x := range all {
		if name, _ := format.JoinXattr(x.Index, x.Name); name == format.InlineData {
			return x.Value, nil
		}
	}
	return nil, nil
}

// Size returns the length in bytes.
func (c *Contents) Size() int64 { return c.in.Size }

// ReadAt reads as io.ReaderAt says. What is a hole, or allocated and never
// written, reads as zero.
func (c *Contents) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("inode %d: read at byte %d", c.in.Number, off)
	}
	size := int64(c.in.fs.super.blockSize)
	for n < len(p) && off < c.in.Size {
		s, err := c.span(uint64(off / size))
		if err != nil {
			return n, err
		}
		part := p[n:]
		part = part[:min(int64(len(part)), c.in.Size-off, int64(s.end())*size-off)]
		skip := off - int64(s.logical)*size
		switch {
		case c.inline != nil:
			copy(part, c.inline[off:])
		case s.physical == 0:
			clear(part)
		default:
			if err := c.in.fs.read(part, s.physical+uint64(skip/size), int(skip%size)); err != nil {
				return n, fmt.Errorf("inode %d: %w", c.in.Number, err)
			}
		}
		n += len(part)
		off += int64(len(part))
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// span is that of the inode; the last one is kept, as readers go on from it.
func (c *Contents) span(logical uint64) (span, error) {
	if c.inline != nil {
		return span{n: 1, physical: 1}, nil // an inode is no larger than a block
	}
	if s := c.last.Load(); s != nil && s.logical <= logical && logical < s.end() {
		return *s, nil
	}
	s, err := c.in.span(logical)
	if err != nil {
		return span{}, err
	}
	c.last.Store(&s)
	return s, nil
}

// Segment is a range of bytes that is not a hole.
type Segment struct{ Start, End int64 }

// Next returns the first data at off or behind it, and up to where it goes on;
// io.EOF when only a hole is left. Data that is not written yet is a hole too.
func (c *Contents) Next(off int64) (Segment, error) {
	left := c.in.fs.super.maxSpans()
	return c.next(off, &left)
}

// maxSpans is how many spans files can have together: each block has its own
// data, or maps others, and has a hole before and after it.
func (g *geometry) maxSpans() uint64 { return 4*g.blocks*g.shares() + spansOfInode }

// spansOfInode is how many spans a file can have without any block.
const spansOfInode = 8

// next is Next for a file whose spans are taken from left.
func (c *Contents) next(off int64, left *uint64) (Segment, error) {
	size := int64(c.in.fs.super.blockSize)
	seg := Segment{Start: -1}
	for off = max(off, 0); off < c.in.Size; {
		if *left == 0 {
			return Segment{}, corrupt("inode %d: files have more pieces than the file system has blocks", c.in.Number)
		}
		*left--
		s, err := c.span(uint64(off / size))
		if err != nil {
			return Segment{}, err
		}
		if s.physical != 0 && seg.Start < 0 {
			seg.Start = off
		}
		if s.physical == 0 && seg.Start >= 0 {
			break
		}
		off = min(int64(s.end())*size, c.in.Size)
		seg.End = off
	}
	if seg.Start < 0 {
		return Segment{}, io.EOF
	}
	return seg, nil
}
