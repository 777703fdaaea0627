package format

import "encoding/binary"

const (
	extentMagic = 0xF30A
	extentSize  = 12 // bytes of a header, an extent and an index entry alike
	// MaxExtent is the number of blocks one extent can map.
	MaxExtent = 32768
	// ExtentsInInode is the number of entries in an inode's i_block.
	ExtentsInInode = InodeBlockSize/extentSize - 1
	// ExtentsInBlock is the number of entries in a block of the tree.
	ExtentsInBlock = (BlockSize - extentSize) / extentSize
)

// Extent maps blocks of a file to blocks of the file system (ifork.rst,
// struct ext4_extent). In an index node it points to a block of the tree, and
// Len has no meaning (struct ext4_extent_idx).
type Extent struct {
	Logical  uint32 // first block in the file
	Len      uint32 // blocks, at most MaxExtent
	Physical uint64 // first block in the file system, 48 bits
}

// PutExtents writes a node of an extent tree into b, an inode's i_block or a
// block: entries at the given depth above the leaves, of which at most
// ExtentsInInode or ExtentsInBlock fit.
func PutExtents(b []byte, depth int, entries []Extent) {
	le := binary.LittleEndian
	clear(b)
	le.PutUint16(b[0:], extentMagic)
	le.PutUint16(b[2:], uint16(len(entries)))
	le.PutUint16(b[4:], uint16((len(b)-extentSize)/extentSize))
	le.PutUint16(b[6:], uint16(depth))
	for i, e := range entries {
		p := b[extentSize*(i+1):]
		le.PutUint32(p[0:], e.Logical)
		if depth == 0 {
			le.PutUint16(p[4:], uint16(e.Len))
			le.PutUint16(p[6:], uint16(e.Physical>>32))
			le.PutUint32(p[8:], uint32(e.Physical))
		} else {
			le.PutUint32(p[4:], uint32(e.Physical))
			le.PutUint16(p[8:], uint16(e.Physical>>32))
		}
	}
}

// PutExtentTail ends a block of the extent tree with its checksum
// (struct ext4_extent_tail). The nodes in inodes have none.
func PutExtentTail(b []byte, inode Seed) {
	const tail = extentSize * (1 + ExtentsInBlock)
	binary.LittleEndian.PutUint32(b[tail:], CRC(uint32(inode), b[:tail]))
}
