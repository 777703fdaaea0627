package ext4

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"sort"

	"github.com/skerry-app/skerry/ext4/format"
)

// maxBackups is how many bytes are spent on copies of the descriptors after the
// first copy, which is always there. Elsewhere only the superblock is copied,
// which the kernel wants to see when it changes it.
const maxBackups = 1 << 20

// groupWriter writes what there is per group, and adds it up.
type groupWriter struct {
	w          *Writer
	free       []run // free blocks below next, in order
	descs      []byte
	dirs       []uint32 // directories in each group
	freeBlocks uint64
	freeInodes uint64
	overhead   uint64 // blocks that can never have data
}

// writeGroups writes bitmaps, descriptors and, last, the superblock.
func (w *Writer) writeGroups() (Summary, error) {
	groups := w.geo.groups()
	g := groupWriter{
		w: w, free: w.alloc.runs(),
		descs: make([]byte, w.geo.descBlocksUsed()*format.BlockSize),
		dirs:  make([]uint32, groups),
	}
	for i := range w.inodes {
		if w.inodes[i].node.IsDir() {
			g.dirs[(w.inodes[i].number-1)/w.geo.inodesPerGroup]++
		}
	}
	for group := range groups {
		if err := g.group(group); err != nil {
			return Summary{}, err
		}
	}
	if err := w.out.flush(); err != nil {
		return Summary{}, err
	}
	for _, r := range g.free {
		if err := punch(w.f, int64(r.start)*format.BlockSize, int64(r.n)*format.BlockSize); err != nil {
			return Summary{}, fmt.Errorf("give unused blocks back: %w", err)
		}
	}
	if err := g.superblocks(); err != nil {
		return Summary{}, err
	}
	return Summary{
		Size:   int64(w.geo.blocks) * format.BlockSize,
		Used:   int64(w.geo.blocks-g.freeBlocks) * format.BlockSize,
		Inodes: uint32(len(w.inodes)),
	}, nil
}

// group writes one group's bitmaps, where they are needed, and its descriptor.
func (g *groupWriter) group(group uint32) error {
	geo, w := &g.w.geo, g.w
	t := geo.tables(group)
	used := w.usedIn(group)
	d := format.Group{
		BlockBitmap: t.blockBitmap, InodeBitmap: t.inodeBitmap, InodeTable: t.inodeTable,
		FreeInodes: geo.inodesPerGroup - used, UnusedInodes: geo.inodesPerGroup - used,
		UsedDirs: g.dirs[group], Flags: format.GroupInodeZeroed,
	}
	if used == 0 {
		d.Flags |= format.GroupInodeUninit
	} else {
		b := make([]byte, format.BlockSize)
		setBits(b, 0, uint64(used))
		setBits(b, uint64(geo.inodesPerGroup), format.MaxInodesPerGroup)
		d.InodeCsum = w.seed.Bitmap(b[:geo.inodesPerGroup/8])
		if err := w.out.put(t.inodeBitmap, b); err != nil {
			return err
		}
	}
	d.FreeBlocks = uint32(geo.blocksIn(group) - geo.front(group))
	if g.untouched(group) {
		d.Flags |= format.GroupBlockUninit
	} else {
		b := g.blockBitmap(group)
		d.FreeBlocks = 0
		for i := 0; i < len(b); i += 8 {
			d.FreeBlocks += uint32(bits.OnesCount64(^binary.NativeEndian.Uint64(b[i:])))
		}
		d.BlockCsum = w.seed.Bitmap(b)
		if err := w.out.put(t.blockBitmap, b); err != nil {
			return err
		}
	}
	g.overhead += geo.base(group) + 2 + geo.inodeBlocks()
	g.freeBlocks += uint64(d.FreeBlocks)
	g.freeInodes += uint64(d.FreeInodes)
	d.Put(g.descs[int(group)*geo.descSize:][:geo.descSize], w.seed, group)
	return nil
}

// untouched says whether nothing in a group is used but its own metadata, so
// that the kernel can make up the bitmap. It cannot for the last group, which
// ends early, and where other groups' tables are.
func (g *groupWriter) untouched(group uint32) bool {
	geo := &g.w.geo
	if group == geo.groups()-1 || geo.packedAt(group) > 1 {
		return false
	}
	first, end := format.GroupStart(group)+geo.front(group), format.GroupStart(group+1)
	if geo.compact && format.HasSuper(group) { // what was kept for more descriptors
		first = format.GroupStart(group) + 1 + compactDescBlocks
	}
	if g.w.alloc.next <= first {
		return true
	}
	i := g.freeFrom(first)
	return i < len(g.free) && g.free[i].start <= first && g.free[i].end() >= end
}

// freeFrom returns the index of the first free run that ends after a block.
func (g *groupWriter) freeFrom(block uint64) int {
	return sort.Search(len(g.free), func(i int) bool { return g.free[i].end() > block })
}

// blockBitmap returns the bitmap of a group's blocks.
func (g *groupWriter) blockBitmap(group uint32) []byte {
	geo := &g.w.geo
	first, count := format.GroupStart(group), geo.blocksIn(group)
	b := make([]byte, format.BlockSize)
	if next := g.w.alloc.next; next > first {
		setBits(b, 0, min(next-first, count))
	}
	if geo.compact && format.HasSuper(group) { // what was kept for more descriptors
		clearBits(b, geo.front(group), min(1+compactDescBlocks, count))
	}
	for i := g.freeFrom(first); i < len(g.free); i++ {
		if g.free[i].start >= first+count {
			break
		}
		from := max(g.free[i].start, first) - first
		clearBits(b, from, min(g.free[i].end()-first, count))
	}
	setBits(b, 0, geo.front(group))
	setBits(b, count, format.BlocksPerGroup)
	return b
}

// setBits sets the bits from up to before to.
func setBits(b []byte, from, to uint64) {
	for ; from < to; from++ {
		if from%8 == 0 && to-from >= 8 {
			b[from/8] = 0xFF
			from += 7
			continue
		}
		b[from/8] |= 1 << (from % 8)
	}
}

// clearBits clears the bits from up to before to.
func clearBits(b []byte, from, to uint64) {
	for ; from < to; from++ {
		b[from/8] &^= 1 << (from % 8)
	}
}

// superblocks writes the descriptors and the superblock: the copies first, the
// superblock of block 0 at the very end.
func (g *groupWriter) superblocks() error {
	w, spent := g.w, 0
	for group := uint32(1); group < w.geo.groups(); group++ {
		if !format.HasSuper(group) {
			continue
		}
		at := int64(format.GroupStart(group)) * format.BlockSize
		if _, err := w.f.WriteAt(g.superblock(group), at); err != nil {
			return fmt.Errorf("write copy of the superblock in group %d: %w", group, err)
		}
		if spent >= maxBackups {
			continue
		}
		spent += len(g.descs)
		if _, err := w.f.WriteAt(g.descs, at+format.BlockSize); err != nil {
			return fmt.Errorf("write copy of the group descriptors in group %d: %w", group, err)
		}
	}
	if _, err := w.f.WriteAt(g.descs, format.BlockSize); err != nil {
		return fmt.Errorf("write group descriptors: %w", err)
	}
	if _, err := w.f.WriteAt(g.superblock(0), format.SuperOffset); err != nil {
		return fmt.Errorf("write superblock: %w", err)
	}
	return nil
}

// superblock returns the copy of the superblock for a group.
func (g *groupWriter) superblock(group uint32) []byte {
	w, o := g.w, &g.w.options
	s := format.Superblock{
		InodesCount:   w.geo.inodesPerGroup * w.geo.groups(),
		BlocksCountLo: uint32(w.geo.blocks), BlocksCountHi: uint32(w.geo.blocks >> 32),
		FreeBlocksLo: uint32(g.freeBlocks), FreeBlocksHi: uint32(g.freeBlocks >> 32),
		FreeInodes:     uint32(g.freeInodes),
		LogBlockSize:   2,
		LogClusterSize: 2,
		BlocksPerGroup: format.BlocksPerGroup,
		ClustersPerGrp: format.BlocksPerGroup,
		InodesPerGroup: w.geo.inodesPerGroup,
		Wtime:          uint32(o.Time.Unix()),
		MkfsTime:       uint32(o.Time.Unix()),
		LastCheck:      uint32(o.Time.Unix()),
		MaxMountCount:  format.MaxMountCountOff,
		Magic:          format.SuperMagic,
		State:          format.StateClean,
		Errors:         format.ErrorsContinue,
		RevLevel:       format.RevDynamic,
		FirstInode:     format.FirstInode,
		InodeSize:      format.InodeSize,
		BlockGroup:     uint16(group),
		Compat:         format.CompatExtAttr | format.CompatDirIndex,
		Incompat:       format.IncompatFiletype | format.IncompatExtents | format.IncompatFlexBG,
		ROCompat: format.ROCompatSparseSuper | format.ROCompatLargeFile | format.ROCompatHugeFile |
			format.ROCompatDirNlink | format.ROCompatExtraIsize | format.ROCompatMetadataCsum,
		UUID: o.UUID, HashSeed: o.HashSeed, DefHashVersion: format.HashHalfMD4,
		Flags:         format.FlagUnsignedHash,
		DefMountOpts:  format.MountXattrUser | format.MountACL,
		MinExtraIsize: format.ExtraSize, WantExtraIsize: format.ExtraSize,
		LogGroupsFlex: logFlex, ChecksumType: format.ChecksumCRC32C,
		OverheadBlocks: uint32(g.overhead),
	}
	copy(s.VolumeName[:], o.Label)
	if len(w.xattrs.values) > 0 {
		s.Incompat |= format.IncompatEAInode
	}
	if w.geo.descSize == format.DescSize64 {
		s.Incompat |= format.Incompat64Bit
		s.DescSize = format.DescSize64
	}
	if w.journal != nil {
		s.Compat |= format.CompatHasJournal
		s.OverheadBlocks += uint32(w.journal.size / format.BlockSize)
		s.JournalInum = format.JournalInode
		s.JournalBackup = format.JournalBackup
		in := w.journalInode()
		for i := range format.InodeBlockSize / 4 {
			s.JournalBlocks[i] = binary.LittleEndian.Uint32(in.block[4*i:])
		}
		s.JournalBlocks[15], s.JournalBlocks[16] = uint32(in.size>>32), uint32(in.size)
	}
	return s.Encode()
}
