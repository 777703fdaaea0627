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
