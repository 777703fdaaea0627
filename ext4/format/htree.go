package format

import (
	"encoding/binary"
	"errors"
	"fmt"
)

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

	// Versions of the hash in superblock and root.
	HashLegacy  = 0
	HashHalfMD4 = 1
	HashTEA     = 2
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

// DXNode is a node of a hashed directory's index.
type DXNode struct {
	entries []byte // the first has limit and count in place of its hash
}

// DXRoot is the root of a hashed directory's index.
type DXRoot struct {
	DXNode
	Hash   uint8 // version of the hash
	Levels int   // levels of nodes below the root
}

// ParseDXRoot reads the index in a hashed directory's first block.
func ParseDXRoot(b []byte) (DXRoot, error) {
	info := b[dxInfoAt:]
	if info[5] != dxInfoSize || binary.LittleEndian.Uint32(info) != 0 {
		return DXRoot{}, errors.New("directory's index has no root")
	}
	n, err := parseDX(b, dxRootAt)
	return DXRoot{DXNode: n, Hash: info[4], Levels: int(info[6])}, err
}

// IsDXNode says whether a block after the first of a hashed directory has to
// be a node of its index: to old kernels it looks like one free entry.
func IsDXNode(b []byte) bool {
	le := binary.LittleEndian
	n := int(le.Uint16(b[4:]))
	return le.Uint32(b) == 0 && (n == len(b) || len(b) == MaxBlockSize && (n == 0 || n == 0xFFFF))
}

// ParseDXNode reads another node of a hashed directory's index.
func ParseDXNode(b []byte) (DXNode, error) {
	if !IsDXNode(b) {
		return DXNode{}, errors.New("block of a directory is not the node of the index that it should be")
	}
	return parseDX(b, dxNodeAt)
}

func parseDX(b []byte, at int) (DXNode, error) {
	limit, count := dxCounts(b[at:])
	if count == 0 || count > limit || at+limit*dxEntrySize > len(b) {
		return DXNode{}, fmt.Errorf("directory's index has a node with %d entries of at most %d in %d bytes", count, limit, len(b))
	}
	return DXNode{b[at : at+count*dxEntrySize]}, nil
}

func dxCounts(b []byte) (limit, count int) {
	return int(binary.LittleEndian.Uint16(b)), int(binary.LittleEndian.Uint16(b[2:]))
}

// Len returns the number of entries, at least 1.
func (n DXNode) Len() int { return len(n.entries) / dxEntrySize }

// Entry returns an entry.
func (n DXNode) Entry(i int) DXEntry {
	const blockMask = 0x0FFFFFFF // fs/ext4/namei.c, dx_get_block
	p := n.entries[i*dxEntrySize:]
	e := DXEntry{Block: binary.LittleEndian.Uint32(p[4:]) & blockMask}
	if i > 0 {
		e.Hash = binary.LittleEndian.Uint32(p)
	}
	return e
}

// VerifyDXRoot and VerifyDXNode compare the checksum of a block with a node of
// a directory's index.
func VerifyDXRoot(b []byte, inode Seed) error { return verifyDX(b, dxRootAt, inode) }

// VerifyDXNode is VerifyDXRoot for the other nodes.
func VerifyDXNode(b []byte, inode Seed) error { return verifyDX(b, dxNodeAt, inode) }

func verifyDX(b []byte, at int, inode Seed) error {
	limit, count := dxCounts(b[at:])
	tail := at + limit*dxEntrySize
	if count > limit || tail+dxTailSize > len(b) {
		return fmt.Errorf("directory's index has a node with %d entries of at most %d in %d bytes, and no checksum", count, limit, len(b))
	}
	sum := CRC(uint32(inode), b[:at+count*dxEntrySize])
	sum = CRC(sum, b[tail:tail+4]) // dt_reserved
	return compare(binary.LittleEndian.Uint32(b[tail+4:]), CRC32(sum, 0))
}
