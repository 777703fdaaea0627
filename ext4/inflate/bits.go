package inflate

import (
	"bufio"
	"fmt"
	"io"
)

// inputBuffer is how many bytes are read at once from a reader that has no
// buffer of its own.
const inputBuffer = 256 << 10

// input is a stream of bits, which begins with the least significant bit of
// the first byte (RFC 1951, 3.1.1). It takes no byte from its reader before
// one of its bits is needed.
type input struct {
	buffered *bufio.Reader // looked into; nil if the reader gives single bytes only
	own      *bufio.Reader // the one for readers without a buffer
	single   io.ByteReader
	one      [1]byte

	window []byte // what buffered has
	pos    int    // of the next byte in window
	offset int64  // of window in the stream
	bits   uint64 // the next bits; zeros above the first n
	n      uint   // how many there are; less than 8 at the end of a block
}

func (in *input) reset(r io.Reader) {
	*in = input{own: in.own}
	switch r := r.(type) {
	case *bufio.Reader:
		in.buffered = r
	case io.ByteReader:
		in.single = r
	default:
		if in.own == nil {
			in.own = bufio.NewReaderSize(nil, inputBuffer)
		}
		in.own.Reset(r)
		in.buffered = in.own
	}
}

// release tells the reader what of window was taken.
func (in *input) release() {
	if in.buffered != nil {
		_, _ = in.buffered.Discard(in.pos) // cannot fail, they are in its buffer
	}
	in.offset += int64(in.pos)
	in.window = in.window[in.pos:]
	in.pos = 0
}

// fill sees to it that window has a byte. Its error is the reader's, io.EOF
// among others.
func (in *input) fill() error {
	if in.pos < len(in.window) {
		return nil
	}
	in.release()
	if in.buffered == nil {
		c, err := in.single.ReadByte()
		if err != nil {
			return err
		}
		in.one[0] = c
		in.window = in.one[:]
		return nil
	}
	if _, err := in.buffered.Peek(1); err != nil {
		return err
	}
	in.window, _ = in.buffered.Peek(in.buffered.Buffered()) // cannot fail, it has them
	return nil
}

// taken returns how many bytes of the stream were taken so far.
func (in *input) taken() int64 { return in.offset + int64(in.pos) }

// ahead returns what was read but not taken, unless the reader still has it.
func (in *input) ahead() []byte {
	if in.own == nil || in.buffered != in.own {
		return nil
	}
	p, _ := in.own.Peek(in.own.Buffered()) // cannot fail, it has them
	return p
}

// corrupt returns an error that says what is wrong, and where.
func (in *input) corrupt(what string) error {
	return fmt.Errorf("%w before byte %d: %s", ErrCorrupt, in.taken(), what)
}

// need sees to it that there are n bits, at most 56.
func (in *input) need(n uint) error {
	for in.n < n {
		if err := in.fill(); err != nil {
			return noEOF(err)
		}
		in.bits |= uint64(in.window[in.pos]) << (in.n & 63)
		in.pos++
		in.n += 8
	}
	return nil
}

// drop takes n bits away, of those that are there.
func (in *input) drop(n uint) {
	in.bits >>= n & 63
	in.n -= n
}

// take returns the next n bits, at most 16, as a number.
func (in *input) take(n uint) (int, error) {
	if err := in.need(n); err != nil {
		return 0, err
	}
	v := in.bits & (1<<n - 1)
	in.drop(n)
	return int(v), nil
}

// align skips the rest of a byte of which bits were taken.
func (in *input) align() { in.bits, in.n = 0, 0 }

// readFull fills p with whole bytes. The input must be aligned.
func (in *input) readFull(p []byte) error {
	for len(p) > 0 {
		n, err := in.readSome(p)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// readSome copies to p whole bytes that are at hand, one or more. The input
// must be aligned.
func (in *input) readSome(p []byte) (int, error) {
	if err := in.fill(); err != nil {
		return 0, noEOF(err)
	}
	n := copy(p, in.window[in.pos:])
	in.pos += n
	return n, nil
}

// skipZeros skips bytes up to the first that is not zero and reports whether
// there were any. It returns io.EOF if all are zero.
func (in *input) skipZeros() (bool, error) {
	for some := false; ; some = true {
		if err := in.fill(); err != nil {
			return some, err
		}
		if in.window[in.pos] != 0 {
			return some, nil
		}
		in.pos++
	}
}

// noEOF makes of an end that comes too early an error that says so.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
