package reader

import (
	"fmt"

	"github.com/skerry-app/skerry/ext4/format"
)

// extentEnd is the block after the last that an extent tree can map.
const extentEnd = 1 << 32

// extent finds a block in the inode's extent tree (ifork.rst, "Extent Tree").
func (in *Inode) extent(logical uint64) (span, error) {
	node, err := format.ParseExtents(in.block[:])
	if err != nil {
		return span{}, corrupt("inode %d: %w", in.Number, err)
	}
	if logical >= extentEnd {
		return span{logical: logical, n: 1}, nil
	}
	// What the node maps is within from and to.
	from, to := uint64(0), uint64(extentEnd)
	for {
		at, next, err := in.search(node, logical, from, to)
		if err != nil {
			return span{}, fmt.Errorf("inode %d: %w", in.Number, err)
		}
		if at == nil {
			return span{logical: from, n: next - from}, nil
		}
		if node.Depth() == 0 {
			end := uint64(at.Logical) + uint64(at.Len)
			if logical >= end {
				return span{logical: end, n: next - end}, nil
			}
			return span{logical: uint64(at.Logical), n: uint64(at.Len), physical: at.Physical}, nil
		}
		from, to = uint64(at.Logical), next
		if node, err = in.extentBlock(at.Physical, node.Depth()-1); err != nil {
			return span{}, fmt.Errorf("inode %d: %w", in.Number, err)
		}
	}
}

// search returns the last entry of a node that does not begin after a block,
// nil when there is none, and where the one after it begins. The entries of
// the whole node have to be in order, and within from and to.
func (in *Inode) search(node format.ExtentNode, logical, from, to uint64) (found *format.Extent, next uint64, err error) {
	next = to
	for i := range node.Len() {
		e, err := node.Entry(i)
		if err != nil {
			return nil, 0, corrupt("%w", err)
		}
		begin, end := uint64(e.Logical), uint64(e.Logical)+1
		if node.Depth() == 0 {
			end = begin + uint64(e.Len)
		}
		if begin < from || end > to {
			return nil, 0, corrupt("extent tree has the blocks %d to %d among those from %d up to %d", begin, end, from, to)
		}
		from = end
		if begin <= logical {
			found = &e
		} else {
			next = min(next, begin)
		}
	}
	return found, next, nil
}

// extentBlock reads a node of the extent tree that is a block, with so many
// levels below.
func (in *Inode) extentBlock(number uint64, depth int) (format.ExtentNode, error) {
	b, err := in.treeBlock(number)
	if err != nil {
		return nil, err
	}
	node, err := format.ParseExtents(b)
	if err != nil {
		return nil, corrupt("block %d: %w", number, err)
	}
	if in.fs.super.checksums {
		if err := node.Verify(in.seed); err != nil {
			return nil, corrupt("block %d of the extent tree: %w", number, err)
		}
	}
	if node.Depth() != depth {
		return nil, corrupt("block %d of the extent tree says that %d levels are below, not %d", number, node.Depth(), depth)
	}
	return node, nil
}
