package ext4

import (
	"github.com/skerry-app/skerry/ext4/format"
)

// setExtents makes extents the contents of an inode. Those that do not fit
// into the inode go into blocks, as many levels of them as it takes.
func (w *Writer) setExtents(in *inode, extents []format.Extent) error {
	in.flags |= format.InodeExtents
	for _, e := range extents {
		in.blocks += uint64(e.Len)
	}
	depth := 0
	for ; len(extents) > format.ExtentsInInode; depth++ {
		above := make([]format.Extent, 0, len(extents)/format.ExtentsInBlock+1)
		for len(extents) > 0 {
			n := min(len(extents), format.ExtentsInBlock)
			block, err := w.writeExtentBlock(in, depth, extents[:n])
			if err != nil {
				return err
			}
			above = append(above, format.Extent{Logical: extents[0].Logical, Physical: block})
			extents = extents[n:]
		}
		in.blocks += uint64(len(above))
		extents = above
	}
	format.PutExtents(in.block[:], depth, extents)
	return nil
}

func (w *Writer) writeExtentBlock(in *inode, depth int, extents []format.Extent) (uint64, error) {
	r, err := w.alloc.alloc(1)
	if err != nil {
		return 0, err
	}
	b := make([]byte, format.BlockSize)
	format.PutExtents(b, depth, extents)
	format.PutExtentTail(b, w.seed.Inode(in.number))
	return r.start, w.out.put(r.start, b)
}
