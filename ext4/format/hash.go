package format

import (
	"encoding/binary"
	"math/bits"
)

// HalfMD4 returns the hash of a name in the hashed directories that are
// written here: half MD4 over unsigned bytes.
func HalfMD4(name string, seed [16]byte) uint32 {
	hash, _ := NameHash(HashHalfMD4, false, name, seed)
	return hash
}

// NameHash returns the hash of a name in a hashed directory, begun with the
// file system's seed (fs/ext4/hash.c, __ext4fs_dirhash). The lowest bit, which
// says in an index that a hash goes on from the block before, is clear. signed
// says how the file system takes bytes above 127. ok is false for a version
// that is not known.
func NameHash(version uint8, signed bool, name string, seed [16]byte) (hash uint32, ok bool) {
	word := func(c byte) uint32 { return uint32(c) }
	if signed {
		word = func(c byte) uint32 { return uint32(int8(c)) }
	}
	state := [4]uint32{0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476}
	if seed != [16]byte{} {
		for i := range state {
			state[i] = binary.LittleEndian.Uint32(seed[4*i:])
		}
	}
	switch version {
	case HashLegacy:
		hash = legacyHash(name, word)
	case HashHalfMD4:
		var in [8]uint32
		for ; name != ""; name = name[min(len(name), 4*len(in)):] {
			hashWords(in[:], name, word)
			halfMD4(&state, &in)
		}
		hash = state[1]
	case HashTEA:
		var in [4]uint32
		for ; name != ""; name = name[min(len(name), 4*len(in)):] {
			hashWords(in[:], name, word)
			tea(&state, &in)
		}
		hash = state[0]
	default:
		return 0, false
	}
	hash &^= 1
	const end = 0x7FFFFFFF << 1 // stands for the end of a directory
	if hash == end {
		hash = end - 2
	}
	return hash, true
}

// legacyHash is the kernel's dx_hack_hash.
func legacyHash(name string, word func(byte) uint32) uint32 {
	hash, before := uint32(0x12A3FE2D), uint32(0x37ABE8F9)
	for i := range len(name) {
		next := before + (hash ^ word(name[i])*7152373)
		if next&0x80000000 != 0 {
			next -= 0x7FFFFFFF
		}
		before, hash = hash, next
	}
	return hash << 1
}

// tea is the kernel's TEA_transform: the Tiny Encryption Algorithm of 16
// rounds.
func tea(state, in *[4]uint32) {
	b0, b1, sum := state[0], state[1], uint32(0)
	for range 16 {
		sum += 0x9E3779B9
		b0 += (b1<<4 + in[0]) ^ (b1 + sum) ^ (b1>>5 + in[1])
		b1 += (b0<<4 + in[2]) ^ (b0 + sum) ^ (b0>>5 + in[3])
	}
	state[0] += b0
	state[1] += b1
}

// hashWords packs a name's start into words, first byte highest, and fills up
// with its length.
func hashWords(in []uint32, name string, word func(byte) uint32) {
	pad := uint32(len(name)) | uint32(len(name))<<8
	pad |= pad << 16
	name = name[:min(len(name), 4*len(in))]
	val, w := pad, 0
	for i := range len(name) {
		val = word(name[i]) + val<<8
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
