package inflate

import "math/bits"

// A table decodes a Huffman code. It is looked up by the next bits of the
// stream, as many as it is wide. Codes longer than that lead to a further
// table behind it, of which all are of the same width.
//
// An entry says what a code means and how many bits to drop:
//
//	31     literal
//	16-30  the literal, the least length or distance, or where a table begins
//	15     special: end of block, a further table, or, without the next two, no code
//	14     further table
//	13     end of block
//	8-12   bits of the code alone, or the width of the further table
//	0-7    bits of the code with the extra bits that follow it
//
// In a further table both counts are without the bits that led there.
const (
	literal    = 1 << 31
	special    = 1 << 15
	further    = 1 << 14
	endOfBlock = 1 << 13

	valueShift = 16
	codeShift  = 8
	codeMask   = 31
	dropMask   = 63
)

const (
	maxCode = 15 // bits (RFC 1951, 3.2.7)

	litWidth    = 11
	distWidth   = 9
	lengthWidth = 7 // no code of a code length is longer

	// A further table has two codes or more, so that there are at most
	// 286/2 of them behind a table for literals, each of 1<<(15-11) entries:
	// 2048+143*16 in all. It is 512+15*64 for distances. They are rounded up
	// to powers of two so that a mask makes any index safe.
	litSize  = 8192
	distSize = 2048
)

const (
	maxLit  = 286 // literals and lengths that may be used
	maxDist = 30  // distances that may be used
)

// The entries of all symbols, yet without the lengths of their codes. Special
// alone is a symbol that is in the fixed code but means nothing (RFC 1951,
// 3.2.6).
var (
	litEntries    [288]uint32
	distEntries   [32]uint32
	lengthEntries [19]uint32
)

func init() {
	for i := range 256 {
		litEntries[i] = literal | uint32(i)<<valueShift
	}
	litEntries[256] = special | endOfBlock
	// RFC 1951, 3.2.5: eight lengths without extra bits, then four with one
	// bit, four with two and so on; the last is for 258, which 284 could say
	// as well.
	for i, base := 0, uint32(3); i < 28; i++ {
		extra := uint32(max(i/4-1, 0))
		litEntries[257+i] = base<<valueShift | extra
		base += 1 << extra
	}
	litEntries[285] = 258 << valueShift
	litEntries[286], litEntries[287] = special, special
	for i, base := 0, uint32(1); i < maxDist; i++ {
		extra := uint32(max(i/2-1, 0))
		distEntries[i] = base<<valueShift | extra
		base += 1 << extra
	}
	distEntries[30], distEntries[31] = special, special
	for i := range lengthEntries {
		lengthEntries[i] = uint32(i) << valueShift
	}
}

// withCode puts the length of a code into a symbol's entry.
func withCode(entry, n uint32) uint32 { return entry + n<<codeShift + n }

// build makes a table of the given width from the lengths of the codes
// (RFC 1951, 3.2.2), 0 for a symbol that is not used. It returns false unless
// these use up all codes there are. As for compress/flate and zlib, a single
// code of one bit will do, too; and no code at all for as long as none is
// looked up.
func build(table []uint32, width int, lengths []uint8, entries []uint32) bool {
	var count [maxCode + 1]int
	for _, n := range lengths {
		count[n&maxCode]++
	}
	used := len(lengths) - count[0]
	count[0] = 0
	longest := maxCode
	for longest > 0 && count[longest] == 0 {
		longest--
	}
	room := 1 // codes of the length at hand that are left
	var first [maxCode + 2]int
	for n := 1; n <= longest; n++ {
		room = room<<1 - count[n]
		if room < 0 {
			return false
		}
		first[n+1] = first[n] + count[n]
	}
	if room > 0 && (used > 1 || longest > 1) {
		return false
	}
	if used < 2 {
		sparse(table[:1<<width], lengths, entries)
		return true
	}

	// Symbols in the order of their codes.
	var sorted [288]uint16
	for symbol, n := range lengths {
		if n != 0 {
			sorted[first[n&maxCode]] = uint16(symbol)
			first[n&maxCode]++
		}
	}

	code := uint16(0) // of n bits, the next one
	next := 0         // in sorted
	n := 1
	for ; n <= width; n++ {
		// The table so far is for n-1 bits: the next bit does not matter to it.
		half := 1 << (n - 1)
		copy(table[half:2*half], table[:half])
		code <<= 1
		for range count[n] {
			table[bits.Reverse16(code)>>(16-n)] = withCode(entries[sorted[next]], uint32(n))
			code++
			next++
		}
	}
	if longest <= width {
		return true
	}

	// What is left of the table leads to further ones.
	more := longest - width
	begin := 1 << width
	for prefix := int(code); prefix < 1<<width; prefix++ {
		table[bits.Reverse16(uint16(prefix))>>(16-width)] =
			uint32(begin)<<valueShift | special | further | uint32(more)<<codeShift | uint32(width)
		begin += 1 << more
	}
	firstPrefix := int(code)
	for ; n <= longest; n++ {
		code <<= 1
		rest := n - width
		for range count[n] {
			entry := withCode(entries[sorted[next]], uint32(rest))
			begin := 1<<width + (int(code>>rest)-firstPrefix)<<more
			tail := int(bits.Reverse16(code << (16 - rest))) // of the code, after the prefix
			for i := tail; i < 1<<more; i += 1 << rest {
				table[begin+i] = entry
			}
			code++
			next++
		}
	}
	return true
}

// sparse makes a table of one code or of none.
func sparse(table []uint32, lengths []uint8, entries []uint32) {
	none, one := uint32(special), uint32(special)
	for symbol, n := range lengths {
		if n != 0 {
			none = withCode(special, 1)
			one = withCode(entries[symbol], 1)
		}
	}
	for i := 0; i < len(table); i += 2 {
		table[i], table[i+1] = one, none
	}
}

// decode takes a symbol's code away and returns the entry. It needs no more
// bits than the code has.
func (in *input) decode(table []uint32, width uint) (uint32, error) {
	for {
		entry := table[in.bits&(1<<width-1)]
		n := uint(entry >> codeShift & codeMask)
		if entry&further != 0 {
			begin := entry >> valueShift & (1<<15 - 1)
			entry = table[uint64(begin)+in.bits>>width&(1<<n-1)]
			n = width + uint(entry>>codeShift&codeMask)
		}
		// Zeros stand for bits that are not there yet: the code found by them
		// is the shortest of those it may become.
		if n <= in.n {
			in.drop(n)
			return entry, nil
		}
		if err := in.need(in.n + 1); err != nil {
			return 0, err
		}
	}
}
