package inflate_test

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// bits writes a stream (RFC 1951, 3.1.1).
type bits struct {
	bytes []byte
	n     uint // bits that are used of the last byte, from 1 to 8, if there is one
}

// put writes the lowest n bits of v, the lowest one first.
func (w *bits) put(v uint64, n uint) {
	for ; n > 0; n-- {
		if w.n == 8 || len(w.bytes) == 0 {
			w.bytes, w.n = append(w.bytes, 0), 0
		}
		w.bytes[len(w.bytes)-1] |= byte(v&1) << w.n
		v >>= 1
		w.n++
	}
}

// huff writes a code of n bits, the highest one first.
func (w *bits) huff(v uint64, n uint) {
	for ; n > 0; n-- {
		w.put(v>>(n-1), 1)
	}
}

// raw writes whole bytes, from the next one on.
func (w *bits) raw(p ...byte) {
	w.bytes = append(w.bytes, p...)
	w.n = 8
}

// code has the lengths of codes by symbols.
type code map[int]uint

// values returns the codes themselves by symbols (RFC 1951, 3.2.2).
func (c code) values() map[int]uint64 {
	values := map[int]uint64{}
	next := uint64(0)
	for n := uint(1); n <= 15; n++ {
		next <<= 1
		for _, symbol := range slices.Sorted(maps.Keys(c)) {
			if c[symbol] == n {
				values[symbol] = next
				next++
			}
		}
	}
	return values
}

// put writes a symbol.
func (c code) put(w *bits, symbol int) { w.huff(c.values()[symbol], c[symbol]) }

// lengths returns the lengths of the first n symbols' codes.
func (c code) lengths(n int) []int {
	all := make([]int, n)
	for symbol, length := range c {
		all[symbol] = int(length)
	}
	return all
}

func block(w *bits, final bool, kind uint64) {
	if final {
		w.put(1, 1)
	} else {
		w.put(0, 1)
	}
	w.put(kind, 2)
}

// dynamicHeader writes the lengths of codes. Their own codes are all of five
// bits, which some symbols never had have, too.
func dynamicHeader(w *bits, lit, dist []int) {
	w.put(uint64(len(lit)-257), 5)
	w.put(uint64(len(dist)-1), 5)
	w.put(19-4, 4)
	for _, symbol := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15} {
		w.put(uint64(lengthCode[symbol]), 3)
	}
	for _, n := range slices.Concat(lit, dist) {
		lengthCode.put(w, n)
	}
}

// lengthCode is a complete code of all code lengths.
var lengthCode = func() code {
	c := code{}
	for symbol := range 19 {
		c[symbol] = 4
		if symbol >= 13 {
			c[symbol] = 5
		}
	}
	return c
}()

var (
	fixedLit = func() code {
		c := code{}
		for symbol := range 288 {
			switch {
			case symbol < 144:
				c[symbol] = 8
			case symbol < 256:
				c[symbol] = 9
			case symbol < 280:
				c[symbol] = 7
			default:
				c[symbol] = 8
			}
		}
		return c
	}()
	// deepLit has codes of all lengths, so that many are not in the first
	// table: a, b and so on to o, where the end and the length 258 come last.
	deepLit = code{'a': 1, 'b': 2, 'c': 3, 'd': 4, 'e': 5, 'f': 6, 'g': 7, 'h': 8, 'i': 9, 'j': 10, 'k': 11, 'l': 12, 'm': 13, 257: 14, 256: 15, 285: 15}
	// deepDist has the distances 1, 2, 3, 4, 5 and 7 and so on.
	deepDist = code{0: 1, 1: 2, 2: 3, 3: 4, 4: 5, 5: 6, 6: 7, 7: 8, 8: 9, 9: 10, 10: 11, 11: 12, 12: 13, 13: 14, 14: 15, 29: 15}
	// plainLit has the letters a and b, the end and the lengths 3 and 258.
	plainLit  = code{'a': 2, 'b': 2, 256: 2, 257: 3, 285: 3}
	plainDist = code{0: 1, 29: 1}
)

// dynamic writes the beginning of a last block with its own codes.
func dynamic(w *bits, lit, dist code) {
	block(w, true, 2)
	dynamicHeader(w, lit.lengths(286), dist.lengths(30))
}

// stored makes a stream of blocks that are not compressed, with the parts'
// data, cut where a block's length ends.
func stored(parts ...[]byte) []byte {
	var w bits
	for i, part := range parts {
		for first := true; first || len(part) > 0; first = false {
			n := min(len(part), 0xFFFF)
			block(&w, i == len(parts)-1 && n == len(part), 0)
			w.raw(byte(n), byte(n>>8), ^byte(n), ^byte(n>>8))
			w.raw(part[:n]...)
			part = part[n:]
		}
	}
	return w.bytes
}

// text is some that can be compressed, always the same.
func text(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	words := strings.Fields("the quick brown fox jumps over a lazy dog while every inode has its block and no byte is lost /usr/lib/x86_64-linux-gnu/")
	var b bytes.Buffer
	for b.Len() < n {
		b.WriteString(words[min(r.IntN(len(words)), r.IntN(len(words)))])
		b.WriteByte(" \n\x00\xFF"[min(r.IntN(4), r.IntN(4))])
		if r.IntN(40) == 0 {
			b.WriteString(strings.Repeat(string(rune(r.IntN(256))), r.IntN(600)))
		}
	}
	return b.Bytes()[:n]
}

// noise is bytes that cannot be compressed, always the same.
func noise(n int) []byte {
	r := rand.New(rand.NewPCG(2, uint64(n)))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}
