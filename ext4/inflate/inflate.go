// Package inflate decodes deflate streams (RFC 1951) and gzip files
// (RFC 1952), twice as fast as others do in Go.
//
// It takes what compress/flate takes and refuses what that refuses. What it
// gives until an error is the same, too. Of gzip files it takes what
// compress/gzip takes, but for two things: a header with reserved flags is
// refused, as RFC 1952 demands (2.3.1.2), and zeros behind the last member are
// padding, as they are for gzip(1).
//
// There is no unsafe code. The decoder works on words of 64 bits, which Go
// loads from slices at once where the machine can; every index is checked, by
// the compiler or when it is used.
//
// # Input
//
// A [bufio.Reader] is decoded in place. It is left right behind what was
// decoded, and the larger its buffer the better. So is any other reader that
// has ReadByte, but byte by byte, which is slow: put a bufio.Reader around it
// unless what follows in it is needed. Any other reader is read ahead; what was
// read too far is in Buffered.
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
