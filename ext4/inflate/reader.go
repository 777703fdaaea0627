package inflate

import (
	"bytes"
	"io"
)

const (
	history = 32 << 10  // bytes that a match may go back (RFC 1951, 2)
	room    = 256 << 10 // bytes that are decoded at once
)

// Reader decodes one deflate stream (RFC 1951). It is not for use by several
// goroutines at once.
//
// Its errors are ErrCorrupt, io.ErrUnexpectedEOF if the input ends before the
// stream does, and what the input's reader returns. They come after all that
// was decoded before them, and once there is one it stays.
type Reader struct {
	in  input
	err error

	step    func(*Reader) error // decodes what comes next
	final   bool                // the block is the last one
	stored  int                 // bytes of a stored block that are left
	flush   bool                // what was decoded is wanted now
	code    *code               // of the block
	dynamic code

	// buf has up to history bytes that were handed out, room and slack.
	buf  []byte
	next int    // where the next byte goes
	end  int    // of the room
	rest []byte // handed out by Next, but not yet by Read
}

// NewReader returns a Reader of the stream that begins with r's next byte. See
// the package's documentation for what is read of r. A Reader takes 330 KiB of
// memory, and 256 KiB more if r is read ahead.
func NewReader(r io.Reader) *Reader {
	z := new(Reader)
	z.Reset(r)
	return z
}

// Reset makes z what NewReader returns for r, without allocating again. The
// zero Reader may be reset, too.
func (z *Reader) Reset(r io.Reader) {
	if z.buf == nil {
		z.buf = make([]byte, history+room+slack)
		z.end = history + room
	}
	z.in.reset(r)
	z.begin()
}

// begin begins a stream where the last one ended.
func (z *Reader) begin() {
	z.step = (*Reader).beginBlock
	z.next = 0
	z.rest, z.err = nil, nil
}

// Next returns the next bytes, at least one and at most 289 KiB, in z's own
// memory: they are valid until the next call of a method. At the end of the
// stream it returns io.EOF, never together with bytes.
func (z *Reader) Next() ([]byte, error) {
	if p := z.rest; len(p) > 0 {
		z.rest = nil
		return p, nil
	}
	if z.next >= z.end {
		z.next = copy(z.buf, z.buf[z.next-history:z.next])
	}
	start := z.next
	for z.err == nil && z.next < z.end && !(z.flush && z.next > start) {
		z.err = z.step(z)
	}
	z.in.release()
	if z.next == start {
		return nil, z.err
	}
	return z.buf[start:z.next:z.next], nil
}

// Read is [io.Reader]'s. Next does not copy.
func (z *Reader) Read(p []byte) (int, error) { return read(p, &z.rest, z.Next) }

// WriteTo is [io.WriterTo]'s: it decodes all that is left.
func (z *Reader) WriteTo(w io.Writer) (int64, error) { return writeTo(w, z.Next) }

// InputOffset returns how many bytes of input were decoded, a byte of which
// some bits were among them. After io.EOF this is the length of the stream.
func (z *Reader) InputOffset() int64 { return z.in.taken() }

// Buffered returns what was read from the input but not decoded: after io.EOF,
// the beginning of what follows the stream. It is valid until the next call of
// another method. There is nothing in it if the input has ReadByte, since then
// it was not read ahead.
func (z *Reader) Buffered() io.Reader { return bytes.NewReader(z.in.ahead()) }
