package inflate

import (
	"io"
	"sync"
)

// The ways a block may be stored (RFC 1951, 3.2.3).
const (
	blockStored = iota
	blockFixed
	blockDynamic
)

// code is how the symbols of a block are coded.
type code struct {
	lit  [litSize]uint32
	dist [distSize]uint32
	end  uint // bits of the end of the block
}

// set makes the tables. The lengths are those of literals, then of distances.
func (c *code) set(lit, dist []uint8) bool {
	c.end = uint(lit[256])
	return build(c.lit[:], litWidth, lit, litEntries[:]) &&
		build(c.dist[:], distWidth, dist, distEntries[:])
}

// fixed is the code of RFC 1951, 3.2.6.
var fixed = sync.OnceValue(func() *code {
	var lit [288]uint8
	for i := range lit {
		switch {
		case i < 144:
			lit[i] = 8
		case i < 256:
			lit[i] = 9
		case i < 280:
			lit[i] = 7
		default:
			lit[i] = 8
		}
	}
	var dist [32]uint8
	for i := range dist {
		dist[i] = 5
	}
	c := new(code)
	c.set(lit[:], dist[:])
	return c
})

// beginBlock reads what is in front of a block's data.
func (z *Reader) beginBlock() error {
	header, err := z.in.take(3)
	if err != nil {
		return err
	}
	z.final = header&1 == 1
	z.flush = false
	switch header >> 1 {
	case blockStored:
		return z.beginStored()
	case blockFixed:
		z.code = fixed()
	case blockDynamic:
		if err := z.readCode(); err != nil {
			return err
		}
		z.code = &z.dynamic
	default:
		return z.in.corrupt("a block of the reserved kind")
	}
	z.step = (*Reader).symbols
	return nil
}

// endBlock goes on to the next block. It returns io.EOF if there is none.
func (z *Reader) endBlock() error {
	z.step = (*Reader).beginBlock
	if z.final {
		z.in.align()
		return io.EOF
	}
	return nil
}

// beginStored reads the length of a block of bytes (RFC 1951, 3.2.4).
func (z *Reader) beginStored() error {
	z.in.align()
	n, err := z.in.take(16)
	if err != nil {
		return err
	}
	inverse, err := z.in.take(16)
	if err != nil {
		return err
	}
	if n^inverse != 0xFFFF {
		return z.in.corrupt("the length of a stored block is not confirmed by its complement")
	}
	// An empty one is how a compressor flushes: what it wanted to get through
	// is not held back.
	z.flush = n == 0
	z.stored = n
	z.step = (*Reader).copyStored
	return nil
}

func (z *Reader) copyStored() error {
	for z.stored > 0 {
		room := min(z.stored, z.end-z.next)
		if room == 0 {
			return nil
		}
		n, err := z.in.readSome(z.buf[z.next : z.next+room])
		if err != nil {
			return err
		}
		z.next += n
		z.stored -= n
	}
	return z.endBlock()
}

// lengthOrder is the order in which a dynamic block has the lengths of the
// codes of lengths (RFC 1951, 3.2.7).
var lengthOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// readCode reads a dynamic block's code (RFC 1951, 3.2.7).
func (z *Reader) readCode() error {
	counts, err := z.in.take(5 + 5 + 4)
	if err != nil {
		return err
	}
	lit := counts&31 + 257
	dist := counts>>5&31 + 1
	if lit > maxLit {
		return z.in.corrupt("a code for more literals and lengths than there are")
	}
	if dist > maxDist {
		return z.in.corrupt("a code for more distances than there are")
	}

	var lengths [19]uint8
	for _, symbol := range lengthOrder[:counts>>10+4] {
		n, err := z.in.take(3)
		if err != nil {
			return err
		}
		lengths[symbol] = uint8(n)
	}
	var table [1 << lengthWidth]uint32
	if !build(table[:], lengthWidth, lengths[:], lengthEntries[:]) {
		return z.in.corrupt("the code of code lengths is not complete, or more than that")
	}

	var all [maxLit + maxDist]uint8
	for i := 0; i < lit+dist; {
		entry, err := z.in.decode(table[:], lengthWidth)
		if err != nil {
			return err
		}
		if entry&special != 0 {
			return z.in.corrupt("a code without a code length")
		}
		var n uint8
		var times int
		switch symbol := entry >> valueShift; symbol {
		default:
			all[i] = uint8(symbol)
			i++
			continue
		case 16:
			if i == 0 {
				return z.in.corrupt("the code length before the first is repeated")
			}
			n = all[i-1]
			times, err = z.in.take(2)
			times += 3
		case 17:
			times, err = z.in.take(3)
			times += 3
		case 18:
			times, err = z.in.take(7)
			times += 11
		}
		if err != nil {
			return err
		}
		if i+times > lit+dist {
			return z.in.corrupt("a code length is repeated for more symbols than there are")
		}
		for range times {
			all[i] = n
			i++
		}
	}
	if !z.dynamic.set(all[:lit], all[lit:lit+dist]) {
		return z.in.corrupt("the code of a block is not complete, or more than that")
	}
	return nil
}

// symbols decodes until the block or the room in the buffer ends.
func (z *Reader) symbols() error {
	in, code := &z.in, z.code
	for z.next < z.end {
		if len(in.window)-in.pos >= fastInput {
			ended, wrong := z.fast()
			if wrong != "" {
				return in.corrupt(wrong)
			}
			if ended {
				return z.endBlock()
			}
			continue
		}
		// The end of the block must yet come, so these bits may be asked for.
		// compress/flate does, and so gives no literal that is found in fewer.
		if err := in.need(code.end); err != nil {
			return err
		}
		entry, err := in.decode(code.lit[:], litWidth)
		if err != nil {
			return err
		}
		switch {
		case entry&literal != 0:
			z.buf[z.next] = byte(entry >> valueShift)
			z.next++
		case entry&endOfBlock != 0:
			return z.endBlock()
		case entry&special != 0:
			return in.corrupt(noSymbol)
		default:
			if err := z.match(entry); err != nil {
				return err
			}
		}
	}
	return nil
}

// match copies what was there before: length is the entry of how much.
func (z *Reader) match(length uint32) error {
	n, err := z.in.withExtra(length)
	if err != nil {
		return err
	}
	entry, err := z.in.decode(z.code.dist[:], distWidth)
	if err != nil {
		return err
	}
	if entry&special != 0 {
		return z.in.corrupt(noDistance)
	}
	dist, err := z.in.withExtra(entry)
	if err != nil {
		return err
	}
	if dist > z.next {
		return z.in.corrupt(tooFar)
	}
	for range n { // what is copied may have been copied just now
		z.buf[z.next] = z.buf[z.next-dist]
		z.next++
	}
	return nil
}

// withExtra returns the length or distance of an entry whose code was taken.
func (in *input) withExtra(entry uint32) (int, error) {
	extra, err := in.take(uint(entry&dropMask - entry>>codeShift&codeMask))
	return int(entry>>valueShift) + extra, err
}

// What is said by both decoders.
const (
	noSymbol   = "a code without a symbol"
	noDistance = "a code without a distance"
	tooFar     = "a distance to before the beginning"
)
