package format

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	extentMagic = 0xF30A
	extentSize  = 12 // bytes of a header, an extent and an index entry alike
	// MaxExtent is the number of blocks one extent can map.
	MaxExtent = 32768
	// ExtentsInInode is the number of entries in an inode's i_block.
	ExtentsInInode = InodeBlockSize/extentSize - 1
	// ExtentsInBlock is the number of entries in a block of the tree.
	ExtentsInBlock = (BlockSize - extentSize) / extentSize
	// MaxExtentDepth is how many levels of blocks a tree can have (fs/ext4,
	// EXT4_MAX_EXTENT_DEPTH).
	MaxExtentDepth = 5
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

// ExtentNode is a node of an extent tree: an inode's i_block or a block.
type ExtentNode []byte

// ParseExtents takes b for a node, whose header it checks.
func ParseExtents(b []byte) (ExtentNode, error) {
	n := ExtentNode(b)
	le := binary.LittleEndian
	switch room := len(b)/extentSize - 1; {
	case le.Uint16(b) != extentMagic:
		return nil, fmt.Errorf("extent tree's node has the magic number %#x instead of %#x", le.Uint16(b), extentMagic)
	case n.max() > room || n.Len() > n.max():
		return nil, fmt.Errorf("extent tree's node says that it has %d entries of at most %d, and has room for %d", n.Len(), n.max(), room)
	case n.Depth() > MaxExtentDepth:
		return nil, fmt.Errorf("extent tree's node has %d levels below, at most %d exist", n.Depth(), MaxExtentDepth)
	}
	return n, nil
}

// Len returns the number of entries.
func (n ExtentNode) Len() int { return int(binary.LittleEndian.Uint16(n[2:])) }

func (n ExtentNode) max() int { return int(binary.LittleEndian.Uint16(n[4:])) }

// Depth returns the levels of nodes below; 0 says that entries are extents.
func (n ExtentNode) Depth() int { return int(binary.LittleEndian.Uint16(n[6:])) }

// Entry returns an entry. An extent that is allocated but not written, so that
// it reads as zero, has the physical block 0.
func (n ExtentNode) Entry(i int) (Extent, error) {
	le := binary.LittleEndian
	p := n[extentSize*(i+1):]
	e := Extent{Logical: le.Uint32(p)}
	if n.Depth() > 0 {
		e.Physical = uint64(le.Uint32(p[4:])) | uint64(le.Uint16(p[8:]))<<32
		return e, nil
	}
	e.Len = uint32(le.Uint16(p[4:]))
	e.Physical = uint64(le.Uint16(p[6:]))<<32 | uint64(le.Uint32(p[8:]))
	if e.Len > MaxExtent { // ifork.rst, ee_len
		e.Len -= MaxExtent
		e.Physical = 0
	}
	if e.Len == 0 {
		return Extent{}, errors.New("extent of no blocks")
	}
	return e, nil
}

// Verify compares the checksum of a node that is a block.
func (n ExtentNode) Verify(inode Seed) error {
	tail := extentSize * (1 + n.max())
	if tail+4 > len(n) {
		return fmt.Errorf("extent tree's node has room for %d entries, and none for a checksum", n.max())
	}
	return compare(binary.LittleEndian.Uint32(n[tail:]), CRC(uint32(inode), n[:tail]))
}
