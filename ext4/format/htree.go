package format

import "encoding/binary"

// A hashed directory (directory.rst, "Hash Tree Directories"): its first
// block is the root of the tree, and looks to old kernels like a block with
// the entries "." and ".." only.
const (
	dxEntrySize = 8
	dxTailSize  = 8
	dxRootAt    = 32 // first entry in the root: after ".", ".." and struct dx_root_info
	dxNodeAt    = 8  // first entry in other nodes: after an empty directory entry
	dxInfoAt    = 24
	dxInfoSize  = 8

	// HashHalfMD4 is the hash's version in superblock and root.
	HashHalfMD4 = 1
	// DXRootLimit and DXNodeLimit are the entries that fit into the root and
	// into other nodes.
	DXRootLimit = (BlockSize - dxRootAt - dxTailSize) / dxEntrySize
	DXNodeLimit = (BlockSize - dxNodeAt - dxTailSize) / dxEntrySize
)

// DXEntry points to the block of a directory, counted in the directory, with
// the names of this hash and above. The first entry's hash is taken as 0.
type DXEntry struct {
	Hash  uint32
	Block uint32
}

// PutDXRoot writes the root of a hashed directory into the block b: its own
// inode, its parent's, and the number of index levels below the root.
func PutDXRoot(b []byte, self, parent uint32, levels uint8, entries []DXEntry, inode Seed) {
	clear(b)
	dir := DirentType(TypeDir)
	PutDirent(b, self, 12, dir, ".")
	PutDirent(b[12:], parent, BlockSize-12, dir, "..")
	b[dxInfoAt+4] = HashHalfMD4
	b[dxInfoAt+5] = dxInfoSize
	b[dxInfoAt+6] = levels
	putDX(b, dxRootAt, DXRootLimit, entries, inode)
}

// PutDXNode writes an inner node of a hashed directory into the block b.
func PutDXNode(b []byte, entries []DXEntry, inode Seed) {
	clear(b)
	PutDirent(b, 0, BlockSize, 0, "")
	putDX(b, dxNodeAt, DXNodeLimit, entries, inode)
}

func putDX(b []byte, at, limit int, entries []DXEntry, inode Seed) {
	le := binary.LittleEndian
	for i, e := range entries {
		le.PutUint32(b[at+i*dxEntrySize:], e.Hash)
		le.PutUint32(b[at+i*dxEntrySize+4:], e.Block)
	}
	// Limit and count take the place of the first hash.
	le.PutUint16(b[at:], uint16(limit))
	le.PutUint16(b[at+2:], uint16(len(entries)))
	tail := b[at+limit*dxEntrySize:]
	clear(tail)
	sum := CRC(uint32(inode), b[:at+len(entries)*dxEntrySize])
	sum = CRC32(sum, 0) // dt_reserved
	sum = CRC32(sum, 0) // the checksum itself
	le.PutUint32(tail[4:], sum)
}
