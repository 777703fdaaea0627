package inflate

import "sync"

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
