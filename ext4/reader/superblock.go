package reader

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"

	"github.com/skerry-app/skerry/ext4/format"
)

// geometry is a superblock that was found to make sense, and what follows from
// it.
type geometry struct {
	format.Superblock
	blockSize int // bytes
	inodeSize int // bytes
	descSize  int // bytes
	blocks    uint64
	seed      format.Seed
	checksums bool
}

// readSuper reads the superblock of an image of size bytes.
func (f *FS) readSuper(size int64) error {
	b := make([]byte, format.SuperSize)
	if err := f.readSuperAt(b); err != nil {
		return err
	}
	s, err := format.ParseSuperblock(b)
	if err != nil {
		return corrupt("%w", err)
	}
	if err := understood(s.Incompat); err != nil {
		return err
	}
	g, err := newGeometry(s)
	if err != nil {
		return corrupt("superblock: %w", err)
	}
	if uint64(max(size, 0))/uint64(g.blockSize) < g.blocks {
		return corrupt("image of %d bytes is cut off: the file system has %d blocks of %d bytes", size, g.blocks, g.blockSize)
	}
	f.super = g
	return nil
}

// readSuperAt reads the superblock's bytes: from the journal if that has them.
func (f *FS) readSuperAt(b []byte) error {
	if f.replay == nil {
		if _, err := f.image.ReadAt(b, format.SuperOffset); err != nil {
			if err == io.EOF {
				return corrupt("image ends before the superblock does")
			}
			return fmt.Errorf("read superblock: %w", err)
		}
		return nil
	}
	block, err := f.block(uint64(format.SuperOffset / f.super.blockSize))
	if err != nil {
		return fmt.Errorf("read superblock: %w", err)
	}
	copy(b, block[format.SuperOffset%f.super.blockSize:])
	return nil
}

// The features of a file system that are read here, and the names that mke2fs
// has for those that are not.
const readable = format.IncompatFiletype | format.IncompatRecover | format.IncompatMetaBG | format.IncompatExtents |
	format.Incompat64Bit | format.IncompatMMP | format.IncompatFlexBG | format.IncompatEAInode |
	format.IncompatCsumSeed | format.IncompatLargedir | format.IncompatInlineData

var unreadable = map[uint32]string{
	format.IncompatCompression: "compression",
	format.IncompatJournalDev:  "journal_dev (an external journal, not a file system)",
	format.IncompatDirdata:     "dirdata",
	format.IncompatEncrypt:     "encrypt",
	format.IncompatCasefold:    "casefold",
}

// understood returns an error that names the features that are not read here.
func understood(incompat uint32) error {
	var names []string
	for left := incompat &^ readable; left != 0; left &= left - 1 {
		bit := left & -left
		name, ok := unreadable[bit]
		if !ok {
			name = fmt.Sprintf("%#x", bit)
		}
		names = append(names, name)
	}
	if names == nil {
		return nil
	}
	return fmt.Errorf("features of the file system are not supported: %s: %w", strings.Join(names, ", "), errors.ErrUnsupported)
}

// newGeometry checks a superblock as the kernel does at a mount (fs/ext4/super.c).
func newGeometry(s *format.Superblock) (*geometry, error) {
	if s.LogBlockSize > uint32(bits.Len(format.MaxBlockSize/format.MinBlockSize))-1 {
		return nil, fmt.Errorf("blocks have 1024<<%d bytes, at most %d are possible", s.LogBlockSize, format.MaxBlockSize)
	}
	g := &geometry{
		Superblock: *s, blockSize: format.MinBlockSize << s.LogBlockSize, inodeSize: format.MinInodeSize,
		descSize: format.DescSize, blocks: s.Blocks(), seed: s.Seed(), checksums: s.ROCompat&format.ROCompatMetadataCsum != 0,
	}
	if s.RevLevel >= format.RevDynamic {
		g.inodeSize = int(s.InodeSize)
	}
	if g.inodeSize < format.MinInodeSize || g.inodeSize > g.blockSize || g.inodeSize&(g.inodeSize-1) != 0 {
		return nil, fmt.Errorf("inodes have %d bytes, blocks %d", g.inodeSize, g.blockSize)
	}
	if s.Incompat&format.Incompat64Bit != 0 {
		g.descSize = int(s.DescSize)
		if g.descSize < format.DescSize64 || g.descSize > g.blockSize || g.descSize&(g.descSize-1) != 0 {
			return nil, fmt.Errorf("group descriptors have %d bytes, blocks %d", g.descSize, g.blockSize)
		}
	}
	const clusterRatio = 16 // bigalloc: more than that many blocks are no cluster (LogClusterSize - LogBlockSize)
	perBitmap := uint64(8 * g.blockSize)
	if s.BlocksPerGroup == 0 || uint64(s.BlocksPerGroup) > perBitmap<<clusterRatio {
		return nil, fmt.Errorf("groups have %d blocks", s.BlocksPerGroup)
	}
	if s.InodesPerGroup == 0 || uint64(s.InodesPerGroup) > perBitmap {
		return nil, fmt.Errorf("groups have %d inodes", s.InodesPerGroup)
	}
	if g.blocks <= uint64(s.FirstDataBlock) || s.FirstDataBlock > 1 {
		return nil, fmt.Errorf("file system has the blocks %d to %d", s.FirstDataBlock, g.blocks)
	}
	groups := (g.blocks-uint64(s.FirstDataBlock)-1)/uint64(s.BlocksPerGroup) + 1
	if uint64(s.InodesCount) > groups*uint64(s.InodesPerGroup) {
		return nil, fmt.Errorf("%d inodes do not fit into %d groups of %d", s.InodesCount, groups, s.InodesPerGroup)
	}
	return g, nil
}

// shares is how many files may have the same block in common.
func (g *geometry) shares() uint64 {
	if g.ROCompat&format.ROCompatSharedBlocks != 0 {
		return maxShares
	}
	return 1
}
