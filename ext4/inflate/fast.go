package inflate

import "encoding/binary"

const (
	// fastInput is how many bytes of input fast must have to go on: it loads
	// eight, goes on by seven at most and loads eight once more.
	fastInput = 16
	// slack is how far behind the end of the room fast may write: literals, a
	// match of 258 bytes and what is copied with it to make whole words.
	slack = 3 + 258 + 16
)

// repeated is how many of eight bytes are whole repetitions of so many.
var repeated = [8]int{8, 8, 8, 6, 8, 5, 6, 7}

// fast does what symbols does while there is plenty of input and of room. It
// reports whether the block has ended and, if the stream is corrupt, what is
// wrong.
//
// There are 56 bits or more after each load. Two literals from the first table
// and a length take 22 and 20 at most, a distance 28. Above the n bits that
// count are others, of the next byte: the next load puts the same ones there.
func (z *Reader) fast() (ended bool, wrong string) {
	in, code := &z.in, z.code
	window, pos := in.window, in.pos
	bits, n := in.bits, in.n
	buf, next, end := z.buf, z.next, z.end
	last := len(window) - fastInput

	for next < end && pos <= last {
		bits |= binary.LittleEndian.Uint64(window[pos:]) << (n & 63)
		pos += int((63 - n) >> 3)
		n |= 56
		e := code.lit[bits&(1<<litWidth-1)]
		if e&literal != 0 {
			bits >>= e & dropMask
			n -= uint(e & dropMask)
			buf[next] = byte(e >> valueShift)
			next++
			e = code.lit[bits&(1<<litWidth-1)]
			if e&literal != 0 {
				bits >>= e & dropMask
				n -= uint(e & dropMask)
				buf[next] = byte(e >> valueShift)
				next++
				e = code.lit[bits&(1<<litWidth-1)]
				if e&literal != 0 {
					bits >>= e & dropMask
					n -= uint(e & dropMask)
					buf[next] = byte(e >> valueShift)
					next++
					continue
				}
			}
		}
		if e&special != 0 {
			if e&further != 0 {
				bits >>= litWidth
				n -= litWidth
				e = code.lit[(uint64(e>>valueShift)+bits&(1<<(e>>codeShift&codeMask)-1))&(litSize-1)]
				if e&literal != 0 {
					bits >>= e & dropMask
					n -= uint(e & dropMask)
					buf[next] = byte(e >> valueShift)
					next++
					continue
				}
			}
			if e&special != 0 {
				bits >>= e & dropMask
				n -= uint(e & dropMask)
				ended = e&endOfBlock != 0
				if !ended {
					wrong = noSymbol
				}
				break
			}
		}
		length := int(e>>valueShift) + int(bits&(1<<(e&dropMask)-1)>>(e>>codeShift&codeMask))
		bits >>= e & dropMask
		n -= uint(e & dropMask)
		bits |= binary.LittleEndian.Uint64(window[pos:]) << (n & 63)
		pos += int((63 - n) >> 3)
		n |= 56
		e = code.dist[bits&(1<<distWidth-1)]
		if e&special != 0 {
			if e&further != 0 {
				bits >>= distWidth
				n -= distWidth
				e = code.dist[(uint64(e>>valueShift)+bits&(1<<(e>>codeShift&codeMask)-1))&(distSize-1)]
			}
			if e&special != 0 {
				wrong = noDistance
				break
			}
		}
		dist := int(e>>valueShift) + int(bits&(1<<(e&dropMask)-1)>>(e>>codeShift&codeMask))
		bits >>= e & dropMask
		n -= uint(e & dropMask)
		if dist > next {
			wrong = tooFar
			break
		}
		from, to := buf[next-dist:], buf[next:]
		switch {
		case dist < 8:
			// The bytes are repeated to a word, of which as many count as make
			// whole repetitions.
			word := binary.LittleEndian.Uint64(from) & (1<<(8*dist&63) - 1)
			for have := 8 * dist; have < 64; have *= 2 {
				word |= word << (have & 63)
			}
			step := repeated[dist&7]
			for i := 0; i < length; i += step {
				binary.LittleEndian.PutUint64(to[i:], word)
			}
		case length > 32 && length <= dist:
			copy(to[:length], from)
		default:
			binary.LittleEndian.PutUint64(to, binary.LittleEndian.Uint64(from))
			binary.LittleEndian.PutUint64(to[8:], binary.LittleEndian.Uint64(from[8:]))
			for i := 16; i < length; i += 8 {
				binary.LittleEndian.PutUint64(to[i:], binary.LittleEndian.Uint64(from[i:]))
			}
		}
		next += length
	}
	// Whole bytes are given back, since they may be another's. Those that were
	// there at first may come from before this window: they stay.
	back := min(int(n>>3), pos-in.pos)
	in.pos = pos - back
	in.n = n - 8*uint(back)
	in.bits = bits & (1<<in.n - 1)
	z.next = next
	return ended, wrong
}
