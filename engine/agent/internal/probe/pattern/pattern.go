// Package pattern makes bytes that look random and that both ends of a test
// know, so that they need not be sent twice to be compared.
package pattern

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
)

// block is how many bytes differ by their number only.
const block = 1 << 20

// Write writes size bytes of the pattern that a seed stands for.
func Write(w io.Writer, seed byte, size int64) error {
	b := make([]byte, block)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	for n := uint64(0); size > 0; n++ {
		binary.BigEndian.PutUint64(b, n)
		part := b[:min(size, block)]
		if _, err := w.Write(part); err != nil {
			return err
		}
		size -= int64(len(part))
	}
	return nil
}
