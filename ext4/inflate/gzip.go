package inflate

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

// The flags of a member's header (RFC 1952, 2.3.1).
const (
	flagHeaderCRC = 1 << 1
	flagExtra     = 1 << 2
	flagName      = 1 << 3
	flagComment   = 1 << 4
	flagsReserved = 0xE0
)

// Gzip decodes a gzip file (RFC 1952): all its members, one behind the other,
// up to the end of the input. Zeros behind the last one are padding. Names,
// times and what else a header tells is skipped, but for the header's checksum.
// It is not for use by several goroutines at once.
//
// Its errors are Reader's. Data is good only once its member's checksum is,
// that is to say, once there was no error until io.EOF.
type Gzip struct {
	deflate Reader
	sum     uint32 // of the member's data so far (RFC 1952, 2.3.1, CRC32)
	size    uint32 // of it, modulo 1<<32
	single  bool
	err     error
	rest    []byte    // handed out by Next, but not yet by Read
	scratch [512]byte // of headers
}

// NewGzip returns a Gzip of the file that begins with r's next byte. It reads
// the first header. If r has not a single byte the error is io.EOF, as it is
// with compress/gzip. See the package's documentation for what is read of r.
func NewGzip(r io.Reader) (*Gzip, error) {
	g := new(Gzip)
	if err := g.Reset(r); err != nil {
		return nil, err
	}
	return g, nil
}

// Reset makes g what NewGzip returns for r, without allocating again. The zero
// Gzip may be reset, too.
func (g *Gzip) Reset(r io.Reader) error {
	g.deflate.Reset(r)
	g.single = false
	g.rest = nil
	g.err = g.beginMember()
	g.deflate.in.release()
	return g.err
}

// Multistream says whether to go on to the next member, as is done unless it
// says otherwise. If not, io.EOF comes at the end of the member, before what
// follows. If that is in a bufio.Reader another member is had by Reset with it.
func (g *Gzip) Multistream(ok bool) { g.single = !ok }

// Next returns the next bytes, at least one and at most 289 KiB, in g's own
// memory: they are valid until the next call of a method. At the end of the
// file it returns io.EOF, never together with bytes.
func (g *Gzip) Next() ([]byte, error) {
	if p := g.rest; len(p) > 0 {
		g.rest = nil
		return p, nil
	}
	for g.err == nil {
		p, err := g.deflate.Next()
		if err == nil {
			g.sum = crc32.Update(g.sum, crc32.IEEETable, p)
			g.size += uint32(len(p))
			return p, nil
		}
		if err == io.EOF {
			err = g.endMember()
		}
		g.err = err
	}
	g.deflate.in.release()
	return nil, g.err
}

// Read is [io.Reader]'s. Next does not copy.
func (g *Gzip) Read(p []byte) (int, error) { return read(p, &g.rest, g.Next) }

// WriteTo is [io.WriterTo]'s: it decodes all that is left.
func (g *Gzip) WriteTo(w io.Writer) (int64, error) { return writeTo(w, g.Next) }

// InputOffset is Reader's, with headers, checksums and padding.
func (g *Gzip) InputOffset() int64 { return g.deflate.InputOffset() }

// Buffered is Reader's.
func (g *Gzip) Buffered() io.Reader { return g.deflate.Buffered() }

// endMember checks the end of a member and goes on to the next one. It returns
// io.EOF if there is none.
func (g *Gzip) endMember() error {
	in := &g.deflate.in
	p := g.scratch[:8]
	if err := in.readFull(p); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(p) != g.sum {
		return in.corrupt("the checksum does not match the data")
	}
	if binary.LittleEndian.Uint32(p[4:]) != g.size {
		return in.corrupt("the size does not match the data")
	}
	if g.single {
		return io.EOF
	}
	padded, err := in.skipZeros()
	if err != nil {
		return err
	}
	if padded {
		return in.corrupt("there is more after the padding at the end")
	}
	return g.beginMember()
}

// beginMember reads a header (RFC 1952, 2.3). It returns io.EOF if there is
// nothing to read.
func (g *Gzip) beginMember() error {
	in := &g.deflate.in
	if err := in.fill(); err != nil {
		return err
	}
	p := g.scratch[:10]
	if err := in.readFull(p); err != nil {
		return err
	}
	if p[0] != 0x1F || p[1] != 0x8B {
		return in.corrupt("no gzip header")
	}
	if p[2] != 8 {
		return in.corrupt("a compression that is not deflate")
	}
	flags := p[3]
	if flags&flagsReserved != 0 {
		return in.corrupt("a header with reserved flags")
	}
	sum := crc32.ChecksumIEEE(p)
	var err error
	if flags&flagExtra != 0 {
		if sum, err = g.skipExtra(sum); err != nil {
			return err
		}
	}
	for _, flag := range []byte{flagName, flagComment} {
		if flags&flag != 0 {
			if sum, err = g.skipString(sum); err != nil {
				return err
			}
		}
	}
	if flags&flagHeaderCRC != 0 {
		p := g.scratch[:2]
		if err := in.readFull(p); err != nil {
			return err
		}
		if binary.LittleEndian.Uint16(p) != uint16(sum) {
			return in.corrupt("the checksum does not match the header")
		}
	}
	g.sum, g.size = 0, 0
	g.deflate.begin()
	return nil
}

// skipExtra skips the extra field and returns the header's checksum with it.
func (g *Gzip) skipExtra(sum uint32) (uint32, error) {
	p := g.scratch[:2]
	if err := g.deflate.in.readFull(p); err != nil {
		return 0, err
	}
	sum = crc32.Update(sum, crc32.IEEETable, p)
	for n := int(binary.LittleEndian.Uint16(p)); n > 0; n -= len(p) {
		p = g.scratch[:min(n, len(g.scratch))]
		if err := g.deflate.in.readFull(p); err != nil {
			return 0, err
		}
		sum = crc32.Update(sum, crc32.IEEETable, p)
	}
	return sum, nil
}

// skipString skips a name or a comment with the zero at its end, 512 bytes at
// most, and returns the header's checksum with it. compress/gzip has the same
// limit.
func (g *Gzip) skipString(sum uint32) (uint32, error) {
	for i := range g.scratch {
		if err := g.deflate.in.readFull(g.scratch[i : i+1]); err != nil {
			return 0, err
		}
		if g.scratch[i] == 0 {
			return crc32.Update(sum, crc32.IEEETable, g.scratch[:i+1]), nil
		}
	}
	return 0, g.deflate.in.corrupt("a name or a comment of more than 511 bytes")
}
