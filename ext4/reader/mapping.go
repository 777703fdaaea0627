package reader

import (
	"github.com/skerry-app/skerry/ext4/format"
)

// span is blocks of a file that are alike: one after the other in the file
// system too, or all zero.
type span struct {
	logical  uint64 // first block in the file
	n        uint64 // blocks, at least 1
	physical uint64 // first block in the file system, 0 for zeros
}

func (s span) end() uint64 { return s.logical + s.n }

// span returns the blocks that the given one of the file is with: it and what
// follows it, and maybe some before it.
func (in *Inode) span(logical uint64) (span, error) {
	find := in.mapped
	if in.flags&format.InodeExtents != 0 {
		find = in.extent
	}
	s, err := find(logical)
	if err != nil {
		return span{}, err
	}
	super := in.fs.super
	if s.physical != 0 && (s.physical <= uint64(super.FirstDataBlock) || s.physical >= super.blocks || s.n > super.blocks-s.physical) {
		return span{}, corrupt("inode %d: its %d blocks from block %d on are beyond the last of %d", in.Number, s.n, s.physical, super.blocks)
	}
	return s, nil
}

// treeBlock reads a block that maps blocks of the inode.
func (in *Inode) treeBlock(number uint64) ([]byte, error) {
	if number <= uint64(in.fs.super.FirstDataBlock) {
		return nil, corrupt("inode %d: block %d cannot map others", in.Number, number)
	}
	return in.fs.block(number)
}
