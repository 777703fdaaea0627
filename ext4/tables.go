package ext4

import (
	"fmt"

	"github.com/skerry-app/skerry/ext4/format"
)

// lastInode returns the highest inode number in use.
func (w *Writer) lastInode() uint32 { return uint32(len(w.inodes)) - 1 + format.FirstInode - 1 }

// placeTables sees that there are inodes enough. In a compact file system it
// decides how many groups there are and places their tables after everything
// else.
func (w *Writer) placeTables() error {
	g := &w.geo
	if !g.compact {
		if have := uint64(g.groups()) * uint64(g.inodesPerGroup); uint64(w.lastInode()) > have {
			return fmt.Errorf("%w: it has %d inodes, %d are needed", ErrFull, have, w.lastInode())
		}
		return nil
	}
	groups := format.GroupOf(w.alloc.next-1) + 1
	if need := w.lastInode()/format.MaxInodesPerGroup + 1; groups < need {
		groups = need
	}
	before := w.alloc
	for {
		perGroup := (uint64(w.lastInode()) + uint64(groups) - 1) / uint64(groups)
		g.inodesPerGroup = uint32(roundUp(perGroup, format.InodesPerBlock))
		if err := w.placeGroups(groups); err != nil {
			return err
		}
		reached := format.GroupOf(w.alloc.next-1) + 1
		if reached <= groups {
			g.blocks = max(w.alloc.next, format.GroupStart(groups-1)+g.front(groups-1)+1)
			break
		}
		w.alloc, groups = before, reached // the tables themselves took another group
	}
	g.descBlocks = g.descBlocksUsed() // what was kept for more is free
	return w.f.Truncate(int64(g.blocks) * format.BlockSize)
}

// placeGroups places the bitmaps and inode tables of that many groups.
func (w *Writer) placeGroups(groups uint32) error {
	w.geo.placed = make([]tables, groups)
	bitmaps := make([]uint64, 2*groups)
	for i := range bitmaps {
		r, err := w.alloc.contiguous(1)
		if err != nil {
			return err
		}
		bitmaps[i] = r.start
	}
	for i := range w.geo.placed {
		r, err := w.alloc.contiguous(w.geo.inodeBlocks())
		if err != nil {
			return err
		}
		w.geo.placed[i] = tables{bitmaps[i], bitmaps[int(groups)+i], r.start}
	}
	return nil
}

// usedIn returns how many inodes of a group are in use. They are at its start.
func (w *Writer) usedIn(group uint32) uint32 {
	first, last := group*w.geo.inodesPerGroup, w.lastInode()
	if last <= first {
		return 0
	}
	return min(last-first, w.geo.inodesPerGroup)
}

// writeInodes writes the inode tables as far as they are used.
func (w *Writer) writeInodes() error {
	block := make([]byte, format.BlockSize)
	for group := range w.geo.groups() {
		used := w.usedIn(group)
		if used == 0 {
			break
		}
		table := w.geo.tables(group).inodeTable
		for i := uint32(0); i < used; i += format.InodesPerBlock {
			clear(block)
			for k := range min(format.InodesPerBlock, used-i) {
				w.putInode(block[k*format.InodeSize:], group*w.geo.inodesPerGroup+i+k+1)
			}
			if err := w.out.put(table+uint64(i/format.InodesPerBlock), block); err != nil {
				return err
			}
		}
	}
	return nil
}

// putInode encodes an inode by its number. The reserved ones that are not in
// use are zero.
func (w *Writer) putInode(b []byte, number uint32) {
	switch {
	case number == format.RootInode || number >= format.FirstInode:
		w.at(number).put(b, w.seed)
	case number == format.JournalInode && w.journal != nil:
		in := w.journalInode()
		in.put(b, w.seed)
	}
}

// journalInode returns the inode of the journal, whose few extents fit into
// it.
func (w *Writer) journalInode() inode {
	in := inode{
		node:   &Node{Mode: format.TypeFile | 0o600, Mtime: w.options.Time},
		number: format.JournalInode, links: 1, flags: format.InodeExtents, size: uint64(w.journal.size),
	}
	in.blocks = in.size / format.BlockSize
	format.PutExtents(in.block[:], 0, w.journal.extents)
	return in
}
