package inflate

import "io"

// The ways a block may be stored (RFC 1951, 3.2.3).
const (
	blockStored = iota
	blockFixed
	blockDynamic
)

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
