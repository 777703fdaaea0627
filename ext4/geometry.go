package ext4

import (
	"fmt"

	"github.com/skerry-app/skerry/ext4/format"
)

const (
	// MaxSize of a file system, in bytes.
	MaxSize = 64 << 40
	// maxCompact is the largest compact file system, in bytes, with the holes
	// that lanes leave. Room for its descriptors is kept in each group that has
	// a copy of them.
	maxCompact        = 4 << 40
	compactDescBlocks = maxCompact / format.GroupSize * format.DescSize / format.BlockSize
	// logFlex says how many groups make a flex_bg group, as with mke2fs: the
	// kernel spreads directories over them, and grows a file system by them.
	logFlex = 4
	// maxPacked is the largest number of groups whose tables are put together
	// per flex_bg group (128 GiB). Above it each group has its own, so that only
	// the descriptors have to be written.
	maxPacked = 1024
	// minLastGroup is how many blocks a last, shorter group must have to be
	// worth its own metadata (as mke2fs has it).
	minLastGroup = 50
)

// geometry says where everything is that has a fixed place. It is known before
// the first byte is written; all that is reserved in a group is at its front.
type geometry struct {
	blocks         uint64 // of the file system; while a compact one grows, its limit
	descSize       int    // bytes of a group descriptor
	descBlocks     uint64 // blocks kept for the descriptors after each superblock
	inodesPerGroup uint32
	packed         uint32 // groups whose bitmaps and inode tables are together at the front of the first
	placed         []tables
	compact        bool
}

// tables says where a group's own metadata is.
type tables struct {
	blockBitmap, inodeBitmap, inodeTable uint64
}

// bytesPerInode is mke2fs' ratio of size to inodes; above 16 TiB a smaller one
// would have more inodes than 32 bits can count.
func bytesPerInode(size uint64) uint64 {
	switch {
	case size >= 16<<40:
		return 65536
	case size >= 4<<40:
		return 32768
	default:
		return 16384
	}
}

// newGeometry lays out a file system of size bytes, or a compact one for 0.
func newGeometry(size int64) (geometry, error) {
	if size == 0 {
		return geometry{
			blocks: maxCompact / format.BlockSize, compact: true,
			descSize: format.DescSize, descBlocks: compactDescBlocks,
		}, nil
	}
	if size < 0 || size > MaxSize {
		return geometry{}, fmt.Errorf("size of %d bytes is not in the range up to %d", size, int64(MaxSize))
	}
	g := geometry{blocks: uint64(size) / format.BlockSize, descSize: format.DescSize, packed: 1 << logFlex}
	if g.blocks >= 1<<32 {
		g.descSize = format.DescSize64
	}
	if g.groups() > maxPacked {
		g.packed = 1
	}
	perGroup := min(g.blocks*format.BlockSize, format.GroupSize) / bytesPerInode(uint64(size))
	g.inodesPerGroup = uint32(roundUp(max(perGroup, format.InodesPerBlock), format.InodesPerBlock))
	g.descBlocks = g.descBlocksUsed()
	if last := g.groups() - 1; last > 0 && g.blocksIn(last) < g.front(last)+minLastGroup {
		g.blocks = format.GroupStart(last)
		g.descBlocks = g.descBlocksUsed()
	}
	if g.blocks < g.front(0)+minLastGroup {
		return geometry{}, fmt.Errorf("size of %d bytes is too small for a file system", size)
	}
	return g, nil
}

func roundUp(n, to uint64) uint64 { return (n + to - 1) / to * to }

func (g *geometry) groups() uint32 {
	return uint32((g.blocks + format.BlocksPerGroup - 1) / format.BlocksPerGroup)
}

// descBlocksUsed returns the blocks that the descriptors fill.
func (g *geometry) descBlocksUsed() uint64 {
	return roundUp(uint64(g.groups())*uint64(g.descSize), format.BlockSize) / format.BlockSize
}

func (g *geometry) inodeBlocks() uint64 { return uint64(g.inodesPerGroup) / format.InodesPerBlock }

// blocksIn returns the number of blocks in a group: the last may have fewer.
func (g *geometry) blocksIn(group uint32) uint64 {
	return min(format.BlocksPerGroup, g.blocks-format.GroupStart(group))
}

// base returns how many blocks the superblock and the descriptors keep in a
// group.
func (g *geometry) base(group uint32) uint64 {
	if !format.HasSuper(group) {
		return 0
	}
	return 1 + g.descBlocks
}

// packedAt returns how many groups have their bitmaps and tables in this one.
func (g *geometry) packedAt(group uint32) uint32 {
	if g.compact || group%g.packed != 0 {
		return 0
	}
	return min(g.packed, g.groups()-group)
}

// front returns how many blocks at the front of a group are not for data.
func (g *geometry) front(group uint32) uint64 {
	return g.base(group) + uint64(g.packedAt(group))*(2+g.inodeBlocks())
}

// tables returns where a group's bitmaps and inode table are.
func (g *geometry) tables(group uint32) tables {
	if g.compact {
		return g.placed[group]
	}
	leader := group - group%g.packed
	n, i := uint64(g.packedAt(leader)), uint64(group-leader)
	first := format.GroupStart(leader) + g.base(leader)
	return tables{
		blockBitmap: first + i,
		inodeBitmap: first + n + i,
		inodeTable:  first + 2*n + i*g.inodeBlocks(),
	}
}
