package format

import (
	"encoding/binary"
	"math/bits"
)

// HalfMD4 returns the hash of a name in a hashed directory: half MD4 over
// unsigned bytes, begun with the file system's seed (fs/ext4/hash.c,
// ext4fs_dirhash with DX_HASH_HALF_MD4_UNSIGNED). The lowest bit, which says
// in an index that a hash goes on from the block before, is clear.
func HalfMD4(name string, seed [16]byte) uint32 {
	state := [4]uint32{0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476}
	if seed != [16]byte{} {
		for i := range state {
			state[i] = binary.LittleEndian.Uint32(seed[4*i:])
		}
	}
	for {
		var in [8]uint32
		hashWords(&in, name)
		halfMD4(&state, &in)
		if len(name) <= 4*len(in) {
			break
		}
		name = name[4*len(in):]
	}
	hash := state[1] &^ 1
	const end = 0x7FFFFFFF << 1 // stands for the end of a directory
	if hash == end {
		hash = end - 2
	}
	return hash
}

// hashWords packs a name's start into words, first byte highest, and fills up
// with its length.
func hashWords(in *[8]uint32, name string) {
	pad := uint32(len(name)) | uint32(len(name))<<8
	pad |= pad << 16
	name = name[:min(len(name), 4*len(in))]
	val, w := pad, 0
	for i := range len(name) {
		val = uint32(name[i]) + val<<8
		if i%4 == 3 {
			in[w] = val
			val = pad
			w++
		}
	}
	if w < len(in) {
		in[w] = val
		w++
	}
	for ; w < len(in); w++ {
		in[w] = pad
	}
}

// halfMD4 is the kernel's half_md4_transform: MD4's three rounds on eight
// words.
func halfMD4(state *[4]uint32, in *[8]uint32) {
	const k2, k3 = 0x5A827999, 0x6ED9EBA1
	a, b, c, d := state[0], state[1], state[2], state[3]
	f := func(x, y, z uint32) uint32 { return z ^ (x & (y ^ z)) }
	g := func(x, y, z uint32) uint32 { return (x & y) + ((x ^ y) & z) }
	h := func(x, y, z uint32) uint32 { return x ^ y ^ z }
	round := func(fn func(x, y, z uint32) uint32, k uint32, order [8]int, shift [4]int) {
		for i := 0; i < 8; i += 4 {
			a = bits.RotateLeft32(a+fn(b, c, d)+in[order[i]]+k, shift[0])
			d = bits.RotateLeft32(d+fn(a, b, c)+in[order[i+1]]+k, shift[1])
			c = bits.RotateLeft32(c+fn(d, a, b)+in[order[i+2]]+k, shift[2])
			b = bits.RotateLeft32(b+fn(c, d, a)+in[order[i+3]]+k, shift[3])
		}
	}
	round(f, 0, [8]int{0, 1, 2, 3, 4, 5, 6, 7}, [4]int{3, 7, 11, 19})
	round(g, k2, [8]int{1, 3, 5, 7, 0, 2, 4, 6}, [4]int{3, 5, 9, 13})
	round(h, k3, [8]int{3, 7, 2, 6, 1, 5, 0, 4}, [4]int{3, 9, 11, 15})
	state[0] += a
	state[1] += b
	state[2] += c
	state[3] += d
}
