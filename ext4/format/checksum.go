package format

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CRC continues a CRC32C over p as the kernel's crc32c() does: without
// inverting at the start and at the end (checksums.rst).
func CRC(crc uint32, p []byte) uint32 {
	return ^crc32.Update(^crc, castagnoli, p)
}

// CRC32 continues a CRC32C over v in little-endian form.
func CRC32(crc, v uint32) uint32 {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], v)
	return CRC(crc, b[:])
}

// Seed starts the checksums of a file system's metadata; it depends on its
// UUID.
type Seed uint32

// NewSeed returns the seed for a file system.
func NewSeed(uuid [16]byte) Seed { return Seed(CRC(^uint32(0), uuid[:])) }

// Bitmap returns the checksum of a bitmap's bytes, as far as they stand for
// something.
func (s Seed) Bitmap(b []byte) uint32 { return CRC(uint32(s), b) }

// Inode returns the seed for everything that belongs to one inode: itself,
// its directory blocks and its extent blocks. Its generation is taken to be 0.
func (s Seed) Inode(number uint32) Seed { return s.Generation(number, 0) }

// Generation is Inode for an inode of any generation.
func (s Seed) Generation(number, generation uint32) Seed {
	return Seed(CRC32(CRC32(uint32(s), number), generation))
}

// crcWithout continues a checksum over b as if the n bytes at offset at, the
// checksum's own place, were zero.
func crcWithout(crc uint32, b []byte, at, n int) uint32 {
	var zero [4]byte
	crc = CRC(crc, b[:at])
	crc = CRC(crc, zero[:n])
	return CRC(crc, b[at+n:])
}

// compare returns an error that has both checksums unless they are the same.
func compare(stored, computed uint32) error {
	if stored != computed {
		return fmt.Errorf("checksum is %#x, contents have %#x", stored, computed)
	}
	return nil
}
