// Package format is the on-disk format of ext4: structures, constants,
// checksums and the directory hash, and nothing of how a file system is put
// together. Put functions write what this module writes, which is one geometry
// and one choice of features. Parse functions read what any ext4 may have, and
// find what is impossible within the structure alone; Verify functions compare
// its checksum, where a file system has any.
//
// All integers are little-endian unless said otherwise. The source of every
// structure is the Linux kernel's Documentation/filesystems/ext4, named by
// file at each type; where that is silent, fs/ext4 of Linux 6.12.
package format

// The geometry that is written here. ext4 knows other block and inode sizes;
// these are mke2fs' choice for everything that is not tiny.
const (
	BlockSize      = 4096          // bytes
	BlocksPerGroup = 8 * BlockSize // blocks that one bitmap block describes
	GroupSize      = BlocksPerGroup * BlockSize
	InodeSize      = 256 // bytes
	InodesPerBlock = BlockSize / InodeSize
	// MaxInodesPerGroup is what one bitmap block can describe.
	MaxInodesPerGroup = 8 * BlockSize
	// SectorSize is the unit of an inode's block count, in bytes.
	SectorSize = 512
)

// Limits of the geometry that can be read.
const (
	MinBlockSize = 1 << 10
	MaxBlockSize = 64 << 10
	MinInodeSize = 128
)

// Inode numbers with a meaning of their own (special_inodes.rst).
const (
	RootInode    = 2
	JournalInode = 8
	FirstInode   = 11 // the first that is free to use; lost+found by custom
)

// Limits of the format.
const (
	MaxName    = 255      // bytes in a directory entry's name
	MaxSymlink = 4095     // bytes in the target of a symbolic link
	MaxLinks   = 65000    // names of an inode
	MaxXattr   = 64 << 10 // bytes in the value of an extended attribute (XATTR_SIZE_MAX)
	MaxFile    = 16 << 40 // bytes: 2^32 blocks
)

// GroupStart returns the first block of a group.
func GroupStart(group uint32) uint64 { return uint64(group) * BlocksPerGroup }

// GroupOf returns the group that a block is in.
func GroupOf(block uint64) uint32 { return uint32(block / BlocksPerGroup) }

// HasSuper says whether a group has a copy of the superblock and the group
// descriptors under sparse_super: groups 0 and 1 and the powers of 3, 5 and 7
// (blockgroup.rst).
func HasSuper(group uint32) bool {
	if group <= 1 {
		return true
	}
	if group%2 == 0 || group%3 != 0 && group%5 != 0 && group%7 != 0 { // quick for most
		return false
	}
	for _, base := range []uint64{3, 5, 7} {
		p := base
		for p < uint64(group) {
			p *= base
		}
		if p == uint64(group) {
			return true
		}
	}
	return false
}
