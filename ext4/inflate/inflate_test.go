package inflate_test

import (
	"strings"
	"testing"
)

// A stream is made by hand.
type stream struct {
	name  string
	write func(w *bits)
	want  string // its data, or what comes before it is refused
}

func (s stream) make() []byte {
	var w bits
	s.write(&w)
	return w.bytes
}

var abc = func(w *bits) {
	for _, c := range "abc" {
		fixedLit.put(w, int(c))
	}
}

// streams are well formed.
var streams = []stream{
	{"fixed, empty", func(w *bits) {
		block(w, true, 1)
		fixedLit.put(w, 256)
	}, ""},
	{"fixed, all literals", func(w *bits) {
		block(w, true, 1)
		for c := range 256 {
			fixedLit.put(w, c)
		}
		fixedLit.put(w, 256)
	}, func() string {
		var p [256]byte
		for c := range p {
			p[c] = byte(c)
		}
		return string(p[:])
	}()},
	{"fixed, a match that overlaps itself", func(w *bits) {
		block(w, true, 1)
		abc(w)
		fixedLit.put(w, 264) // length 10
		w.huff(2, 5)         // distance 3
		fixedLit.put(w, 256)
	}, "abcabcabcabca"},
	{"fixed, all lengths at distance 1", func(w *bits) {
		block(w, true, 1)
		abc(w)
		for length := 257; length <= 284; length++ {
			n := uint(max((length-257)/4-1, 0))
			for extra := range uint64(1) << n {
				fixedLit.put(w, length)
				w.put(extra, n)
				w.huff(0, 5)
			}
		}
		fixedLit.put(w, 285)
		w.huff(0, 5)
		fixedLit.put(w, 256)
		// 3 to 258 as RFC 1951, 3.2.5 has them, and 258 once more.
	}, "ab" + strings.Repeat("c", 1+(3+258)*256/2+258)},
	{"fixed, all short distances", func(w *bits) {
		block(w, true, 1)
		for c := range 32 {
			fixedLit.put(w, 'A'+c)
		}
		for dist := range 10 {
			n := uint(max(dist/2-1, 0))
			for extra := range uint64(1) << n {
				fixedLit.put(w, 272) // length 31 with the extra bit
				w.put(1<<2-1, 2)
				w.huff(uint64(dist), 5)
				w.put(extra, n)
				fixedLit.put(w, 'A'+dist)
				fixedLit.put(w, 'a'+int(extra))
			}
		}
		fixedLit.put(w, 256)
	}, shortDistances()},
	{"stored", func(w *bits) { w.raw(stored([]byte("as it is"))...) }, "as it is"},
	{"stored, empty ones in between", func(w *bits) {
		w.raw(stored(nil, []byte("one"), nil, nil, []byte("two"), nil)...)
	}, "onetwo"},
	{"stored, as long as can be", func(w *bits) { w.raw(stored(text(0xFFFF))...) }, string(text(0xFFFF))},
	{"stored, more than the room", func(w *bits) { w.raw(stored(noise(1e6))...) }, string(noise(1e6))},
	{"all kinds of blocks", func(w *bits) {
		block(w, false, 1)
		abc(w)
		fixedLit.put(w, 256)
		block(w, false, 0)
		w.raw(2, 0, 0xFD, 0xFF, 'd', 'e')
		block(w, false, 0)
		w.raw(0, 0, 0xFF, 0xFF)
		dynamic(w, plainLit, plainDist)
		plainLit.put(w, 'b')
		plainLit.put(w, 257)
		plainDist.put(w, 0)
		plainLit.put(w, 256)
	}, "abcdebbbb"},
	{"dynamic, codes of all lengths", func(w *bits) {
		dynamic(w, deepLit, deepDist)
		for c := 'a'; c <= 'm'; c++ {
			deepLit.put(w, int(c))
		}
		for dist := range 7 {
			deepLit.put(w, 257)
			deepDist.put(w, dist)
			w.put(0, uint(max(dist/2-1, 0)))
		}
		deepLit.put(w, 285)
		deepDist.put(w, 6) // 9 to 12
		w.put(3, 2)
		deepLit.put(w, 256)
	}, deep()},
	{"dynamic, the greatest length and distance", func(w *bits) {
		block(w, false, 0)
		w.raw(0, 128, 0xFF, 127)
		w.raw(text(32768)...)
		dynamic(w, plainLit, plainDist)
		plainLit.put(w, 285)
		plainDist.put(w, 29)
		w.put(1<<13-1, 13)
		plainLit.put(w, 257)
		plainDist.put(w, 29)
		w.put(1<<13-2, 13) // one less
		plainLit.put(w, 256)
	}, string(text(32768)) + string(text(32768)[:258]) + string(text(32768)[259:262])},
	{"dynamic, the greatest distance for more than the room", func(w *bits) {
		block(w, false, 0)
		w.raw(0, 128, 0xFF, 127)
		w.raw(noise(32768)...)
		dynamic(w, plainLit, plainDist)
		length, dist := plainLit.values()[285], plainDist.values()[29]
		for range 32768 * 20 / 258 {
			w.huff(length, plainLit[285])
			w.huff(dist, plainDist[29])
			w.put(1<<13-1, 13)
		}
		plainLit.put(w, 256)
	}, strings.Repeat(string(noise(32768)), 21)[:32768+32768*20/258*258]},
	{"dynamic, a single distance", func(w *bits) {
		dynamic(w, plainLit, code{1: 1})
		plainLit.put(w, 'a')
		plainLit.put(w, 'b')
		plainLit.put(w, 257)
		w.put(0, 1)
		plainLit.put(w, 256)
	}, "ababa"},
	{"dynamic, no distance", func(w *bits) {
		dynamic(w, plainLit, code{})
		plainLit.put(w, 'a')
		plainLit.put(w, 256)
	}, "a"},
	{"dynamic, nothing but the end", func(w *bits) {
		dynamic(w, code{256: 1}, code{})
		w.put(0, 1)
	}, ""},
	{"dynamic, a length repeated from literals into distances", func(w *bits) {
		block(w, true, 2)
		w.put(0, 5)
		w.put(3, 5)
		w.put(19-4, 4)
		// Codes of lengths: 0 is 1 0, 2 is 0, 16 is 1 1 0 and 18 is 1 1 1.
		for _, symbol := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15} {
			w.put(map[int]uint64{0: 2, 2: 1, 16: 3, 18: 3}[symbol], 3)
		}
		w.huff(7, 3)
		w.put(97-11, 7) // up to a
		w.huff(0, 1)
		w.huff(0, 1)
		w.huff(0, 1)
		w.huff(7, 3)
		w.put(138-11, 7)
		w.huff(7, 3)
		w.put(256-100-138-11, 7) // up to the end
		w.huff(0, 1)
		w.huff(6, 3) // three of the four distances
		w.put(0, 2)
		w.huff(0, 1) // and the last one
		w.huff(1, 2) // b
		w.huff(0, 2) // a
		w.huff(3, 2) // the end
	}, "ba"},
}

// malformed streams are refused for what their names say.
var malformed = []stream{
	{"the reserved kind of block", func(w *bits) { block(w, true, 3); w.put(0, 64) }, ""},
	{"a stored length that is not confirmed", func(w *bits) {
		block(w, true, 0)
		w.raw(1, 0, 0xFF, 0xFF, 'a')
	}, ""},
	{"the literal 286", func(w *bits) {
		block(w, true, 1)
		abc(w)
		fixedLit.put(w, 286)
		w.put(0, 64)
	}, "abc"},
	{"the literal 287, at the end of the input", func(w *bits) {
		block(w, true, 1)
		abc(w)
		fixedLit.put(w, 287)
	}, "abc"},
	{"the distance 30", func(w *bits) {
		block(w, true, 1)
		abc(w)
		fixedLit.put(w, 257)
		w.huff(30, 5)
		w.put(0, 128)
	}, "abc"},
	{"the distance 31, at the end of the input", func(w *bits) {
		block(w, true, 1)
		abc(w)
		fixedLit.put(w, 257)
		w.huff(31, 5)
	}, "abc"},
	{"a distance to before the beginning", func(w *bits) {
		block(w, true, 1)
		abc(w)
		fixedLit.put(w, 257)
		w.huff(3, 5)
		w.put(0, 128)
	}, "abc"},
	{"a distance to before the beginning, at the end of the input", func(w *bits) {
		block(w, true, 1)
		abc(w)
		fixedLit.put(w, 257)
		w.huff(29, 5)
		w.put(1<<13-1, 13)
	}, "abc"},
	{"a distance with nothing decoded yet", func(w *bits) {
		block(w, true, 1)
		fixedLit.put(w, 257)
		w.huff(0, 5)
	}, ""},
	{"287 literals and lengths", func(w *bits) {
		block(w, true, 2)
		dynamicHeader(w, make([]int, 287), make([]int, 30))
	}, ""},
	{"31 distances", func(w *bits) {
		block(w, true, 2)
		dynamicHeader(w, make([]int, 286), make([]int, 31))
	}, ""},
	{"too many codes of code lengths", func(w *bits) { lengthsOfLengths(w, 1, 1, 1) }, ""},
	{"too few codes of code lengths", func(w *bits) { lengthsOfLengths(w, 1, 2) }, ""},
	{"no code of a code length", func(w *bits) { lengthsOfLengths(w) }, ""},
	{"one code of a code length, of two bits", func(w *bits) { lengthsOfLengths(w, 2) }, ""},
	{"one code of a code length, the other used", func(w *bits) { lengthsOfLengths(w, 1); w.put(1, 64) }, ""},
	{"too many codes of literals", func(w *bits) {
		dynamic(w, code{'a': 1, 'b': 2, 'c': 3, 'd': 3, 256: 15}, plainDist)
		w.put(0, 64)
	}, ""},
	{"too few codes of literals", func(w *bits) {
		dynamic(w, code{'a': 1, 'b': 2, 256: 3}, plainDist)
		w.put(0, 64)
	}, ""},
	{"one literal, of two bits", func(w *bits) { dynamic(w, code{256: 2}, plainDist); w.put(0, 64) }, ""},
	{"no literal", func(w *bits) { dynamic(w, code{}, plainDist); w.put(0, 64) }, ""},
	{"no literal, at the end of the input", func(w *bits) { dynamic(w, code{}, plainDist) }, ""},
	{"one literal, the other code used", func(w *bits) { dynamic(w, code{256: 1}, plainDist); w.put(1, 64) }, ""},
	{"too many codes of distances", func(w *bits) {
		dynamic(w, plainLit, code{0: 1, 1: 1, 2: 15})
		w.put(0, 64)
	}, ""},
	{"too few codes of distances", func(w *bits) {
		dynamic(w, plainLit, code{0: 2, 1: 2, 2: 2})
		w.put(0, 64)
	}, ""},
	{"one distance, of two bits", func(w *bits) { dynamic(w, plainLit, code{0: 2}); w.put(0, 64) }, ""},
	{"one distance, the other code used", func(w *bits) {
		dynamic(w, plainLit, code{0: 1})
		plainLit.put(w, 'a')
		plainLit.put(w, 257)
		w.put(1, 1)
		w.put(0, 128)
	}, "a"},
	{"no distance, but used", func(w *bits) {
		dynamic(w, plainLit, code{})
		plainLit.put(w, 'a')
		plainLit.put(w, 257)
	}, "a"},
	{"the code length before the first repeated", func(w *bits) {
		lengthsOfLengths(w, 1, 1) // 16 and 17
		w.huff(0, 1)
	}, ""},
	{"code lengths repeated for too many symbols", func(w *bits) {
		lengthsOfLengths(w, 1, 0, 1) // 16 and 18
		w.huff(1, 1)
		w.put(138-11, 7)
		w.huff(1, 1)
		w.put(138-11, 7)
	}, ""},
}

// lengthsOfLengths writes the beginning of a dynamic block of 257 literals and
// lengths and one distance, of whose code lengths the first in order, which
// are 16, 17, 18 and 0, have codes of the lengths given.
func lengthsOfLengths(w *bits, lengths ...uint64) {
	block(w, true, 2)
	w.put(0, 5+5+4)
	for i := range 4 {
		if i < len(lengths) {
			w.put(lengths[i], 3)
		} else {
			w.put(0, 3)
		}
	}
}

// shortDistances is what a plain replay makes of that stream.
func shortDistances() string {
	var p []byte
	for c := range 32 {
		p = append(p, byte('A'+c))
	}
	for dist, base := range []int{1, 2, 3, 4, 5, 7, 9, 13, 17, 25} {
		for extra := range []int{1, 1, 1, 1, 2, 2, 4, 4, 8, 8}[dist] {
			for range 34 {
				p = append(p, p[len(p)-base-extra])
			}
			p = append(p, byte('A'+dist), byte('a'+extra))
		}
	}
	return string(p)
}

// deep is what a plain replay makes of the stream with codes of all lengths.
func deep() string {
	p := []byte("abcdefghijklm")
	for _, m := range [][2]int{{3, 1}, {3, 2}, {3, 3}, {3, 4}, {3, 5}, {3, 7}, {3, 9}, {258, 12}} {
		for range m[0] {
			p = append(p, p[len(p)-m[1]])
		}
	}
	return string(p)
}

func TestStreams(t *testing.T) {
	for _, s := range streams {
		t.Run(s.name, func(t *testing.T) {
			stream := s.make()
			want := outcome{data: s.want, taken: len(stream)}
			// Alone, and with what follows, by which the last symbols are
			// decoded fast.
			mustEqual(t, "alone", compare(t, stream), want)
			mustEqual(t, "with more", compare(t, append(stream, noise(100)...)), want)
		})
	}
}

func TestMalformed(t *testing.T) {
	for _, s := range malformed {
		t.Run(s.name, func(t *testing.T) {
			stream := s.make()
			want := outcome{data: s.want, verdict: corrupt}
			mustEqual(t, "alone", compare(t, stream), want)
			mustEqual(t, "with more", compare(t, append(stream, noise(100)...)), want)
		})
	}
}
