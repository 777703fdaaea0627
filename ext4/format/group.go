package format

import "encoding/binary"

// Sizes of a group descriptor in bytes: the second with 64-bit block numbers.
const (
	DescSize   = 32
	DescSize64 = 64
)

// Flags of a group (group_descr.rst, bg_flags).
const (
	GroupInodeUninit = 0x1 // no inode is used; its inode bitmap has not been written
	GroupBlockUninit = 0x2 // only the group's own metadata is used; its block bitmap has not been written
	GroupInodeZeroed = 0x4 // the inode table is known to be zero
)

// Group is a group descriptor (group_descr.rst).
type Group struct {
	BlockBitmap  uint64 // block numbers of the bitmaps and of the inode table
	InodeBitmap  uint64
	InodeTable   uint64
	FreeBlocks   uint32
	FreeInodes   uint32
	UsedDirs     uint32
	Flags        uint16
	BlockCsum    uint32 // checksums of the bitmaps, zero where they are not written
	InodeCsum    uint32
	UnusedInodes uint32 // inodes at the end of the table that were never used
}

// Put writes the descriptor of the group with the given number into b, whose
// length, DescSize or DescSize64, decides its form.
func (g *Group) Put(b []byte, seed Seed, number uint32) {
	le := binary.LittleEndian
	clear(b)
	le.PutUint32(b[0x00:], uint32(g.BlockBitmap))
	le.PutUint32(b[0x04:], uint32(g.InodeBitmap))
	le.PutUint32(b[0x08:], uint32(g.InodeTable))
	le.PutUint16(b[0x0C:], uint16(g.FreeBlocks))
	le.PutUint16(b[0x0E:], uint16(g.FreeInodes))
	le.PutUint16(b[0x10:], uint16(g.UsedDirs))
	le.PutUint16(b[0x12:], g.Flags)
	le.PutUint16(b[0x18:], uint16(g.BlockCsum))
	le.PutUint16(b[0x1A:], uint16(g.InodeCsum))
	le.PutUint16(b[0x1C:], uint16(g.UnusedInodes))
	if len(b) >= DescSize64 {
		le.PutUint32(b[0x20:], uint32(g.BlockBitmap>>32))
		le.PutUint32(b[0x24:], uint32(g.InodeBitmap>>32))
		le.PutUint32(b[0x28:], uint32(g.InodeTable>>32))
		le.PutUint16(b[0x2C:], uint16(g.FreeBlocks>>16))
		le.PutUint16(b[0x2E:], uint16(g.FreeInodes>>16))
		le.PutUint16(b[0x30:], uint16(g.UsedDirs>>16))
		le.PutUint16(b[0x32:], uint16(g.UnusedInodes>>16))
		le.PutUint16(b[0x38:], uint16(g.BlockCsum>>16))
		le.PutUint16(b[0x3A:], uint16(g.InodeCsum>>16))
	}
	le.PutUint16(b[0x1E:], uint16(CRC(CRC32(uint32(seed), number), b)))
}

const groupCsumAt = 0x1E // bg_checksum

// ParseGroup reads a descriptor of DescSize bytes, or DescSize64 and more.
func ParseGroup(b []byte) (g Group) {
	le := binary.LittleEndian
	g = Group{
		BlockBitmap:  uint64(le.Uint32(b[0x00:])),
		InodeBitmap:  uint64(le.Uint32(b[0x04:])),
		InodeTable:   uint64(le.Uint32(b[0x08:])),
		FreeBlocks:   uint32(le.Uint16(b[0x0C:])),
		FreeInodes:   uint32(le.Uint16(b[0x0E:])),
		UsedDirs:     uint32(le.Uint16(b[0x10:])),
		Flags:        le.Uint16(b[0x12:]),
		BlockCsum:    uint32(le.Uint16(b[0x18:])),
		InodeCsum:    uint32(le.Uint16(b[0x1A:])),
		UnusedInodes: uint32(le.Uint16(b[0x1C:])),
	}
	if len(b) >= DescSize64 {
		g.BlockBitmap |= uint64(le.Uint32(b[0x20:])) << 32
		g.InodeBitmap |= uint64(le.Uint32(b[0x24:])) << 32
		g.InodeTable |= uint64(le.Uint32(b[0x28:])) << 32
		g.FreeBlocks |= uint32(le.Uint16(b[0x2C:])) << 16
		g.FreeInodes |= uint32(le.Uint16(b[0x2E:])) << 16
		g.UsedDirs |= uint32(le.Uint16(b[0x30:])) << 16
		g.UnusedInodes |= uint32(le.Uint16(b[0x32:])) << 16
		g.BlockCsum |= uint32(le.Uint16(b[0x38:])) << 16
		g.InodeCsum |= uint32(le.Uint16(b[0x3A:])) << 16
	}
	return g
}

// VerifyGroup compares the checksum of the descriptor b of a group.
func VerifyGroup(b []byte, seed Seed, number uint32) error {
	sum := crcWithout(CRC32(uint32(seed), number), b, groupCsumAt, 2)
	return compare(uint32(binary.LittleEndian.Uint16(b[groupCsumAt:])), sum&0xFFFF)
}
