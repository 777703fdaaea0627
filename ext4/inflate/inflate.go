// Package inflate decodes deflate streams (RFC 1951) and gzip files
// (RFC 1952), faster than compress/gzip: BenchmarkGzip says by how much.
//
// It takes what compress/flate takes and refuses what that refuses. What it
// gives until an error is the same, too. Of gzip files it takes what
// compress/gzip takes, but for two things: a header with reserved flags is
// refused, as RFC 1952 demands (2.3.1.2), and zeros behind the last member are
// padding, as they are for gzip(1).
//
// There is no unsafe code, and so no other decoder for machines of 32 bits or
// with big-endian words. Where a machine can, Go loads words of 64 bits from
// slices at once. Every index is checked, by the compiler or when it is used.
//
// # Input
//
// A [bufio.Reader] is decoded in place, the larger its buffer the better. It
// is left right behind what was decoded. Another reader that has ReadByte is,
// too, but it is read byte by byte, which is slow: unless what follows is to be
// read from it, put a bufio.Reader around it. All others are read ahead, up to
// 256 KiB, and Buffered has what was not decoded of that.
package inflate

import (
	"errors"
	"io"
)

// ErrCorrupt says that data is not as RFC 1951 or RFC 1952 has it. Errors
// that wrap it say what is wrong and before which byte of the input.
var ErrCorrupt = errors.New("corrupt data")

// read is Read for what next returns, of which rest is left.
func read(p []byte, rest *[]byte, next func() ([]byte, error)) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(*rest) == 0 {
		chunk, err := next()
		if err != nil {
			return 0, err
		}
		*rest = chunk
	}
	n := copy(p, *rest)
	*rest = (*rest)[n:]
	return n, nil
}

// writeTo is WriteTo for what next returns.
func writeTo(w io.Writer, next func() ([]byte, error)) (int64, error) {
	var written int64
	for {
		chunk, err := next()
		if err == io.EOF {
			return written, nil
		}
		if err != nil {
			return written, err
		}
		n, err := w.Write(chunk)
		written += int64(n)
		if err != nil {
			return written, err
		}
		if n < len(chunk) {
			return written, io.ErrShortWrite
		}
	}
}
