package ext4

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/skerry-app/skerry/ext4/format"
)

// HoldsXattr says whether ext4 has a place for an extended attribute with this
// name.
func HoldsXattr(name string) bool {
	_, _, ok := format.SplitXattr(name)
	return ok
}

// xattrBlock is a block of attributes that inodes share.
type xattrBlock struct {
	block    uint64
	refs     uint32
	contents []byte
}

// xattrBlocks are all blocks of attributes, written at the end, when it is
// known how many inodes share each.
type xattrBlocks struct {
	all    []*xattrBlock
	latest map[string]*xattrBlock // by contents: the one with room for more inodes
}

// CheckXattrs says why a file cannot have these extended attributes, if it
// cannot.
func CheckXattrs(all map[string][]byte) error {
	_, _, err := splitXattrs(all)
	return err
}

// setXattrs puts the attributes of a node into its inode, and those that do
// not fit there into a block.
func (w *Writer) setXattrs(in *inode) (err error) {
	var outside []format.Xattr
	if in.xattrs, outside, err = splitXattrs(in.node.Xattrs); err != nil || len(outside) == 0 {
		return err
	}
	in.blocks++
	in.outside, err = w.xattrs.share(w, outside)
	return err
}

// splitXattrs returns the attributes for the inode and those for a block.
func splitXattrs(all map[string][]byte) (inside, outside []format.Xattr, err error) {
	xs, err := sortedXattrs(all)
	if err != nil {
		return nil, nil, err
	}
	room, beside := format.XattrRoomInode, 0
	for _, x := range xs {
		if x.Len() <= room {
			room -= x.Len()
			inside = append(inside, x)
			continue
		}
		beside += x.Len()
		outside = append(outside, x)
	}
	if beside > format.XattrRoomBlock {
		return nil, nil, fmt.Errorf("extended attributes take %d bytes beside the inode: more than %d need the feature ea_inode, which is not supported",
			beside, format.XattrRoomBlock)
	}
	return inside, outside, nil
}

// sortedXattrs brings attributes into their on-disk form and order.
func sortedXattrs(all map[string][]byte) ([]format.Xattr, error) {
	var xs []format.Xattr
	for _, name := range slices.Sorted(maps.Keys(all)) {
		index, rest, ok := format.SplitXattr(name)
		if !ok {
			return nil, fmt.Errorf("extended attribute %.300q is in no namespace that ext4 has, or its name is too long", name)
		}
		value := all[name]
		if name == format.ACLAccess || name == format.ACLDefault {
			var err error
			if value, err = format.ACL(value); err != nil {
				return nil, fmt.Errorf("extended attribute %s: %w", name, err)
			}
		}
		xs = append(xs, format.Xattr{Index: index, Name: rest, Value: value})
	}
	slices.SortFunc(xs, func(a, b format.Xattr) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(len(a.Name), len(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	return xs, nil
}

// share returns the block with these attributes, a new one if there is none
// that can be shared.
func (x *xattrBlocks) share(w *Writer, xs []format.Xattr) (uint64, error) {
	contents := make([]byte, format.BlockSize)
	format.PutXattrBlock(contents, xs)
	if b := x.latest[string(contents)]; b != nil && b.refs < format.XattrMaxRefs {
		b.refs++
		return b.block, nil
	}
	r, err := w.alloc.alloc(1)
	if err != nil {
		return 0, err
	}
	if x.latest == nil {
		x.latest = map[string]*xattrBlock{}
	}
	b := &xattrBlock{block: r.start, refs: 1, contents: contents}
	x.latest[string(contents)] = b
	x.all = append(x.all, b)
	return b.block, nil
}

func (x *xattrBlocks) write(w *Writer) error {
	for _, b := range x.all {
		format.FinishXattrBlock(b.contents, b.refs, b.block, w.seed)
		if err := w.out.put(b.block, b.contents); err != nil {
			return err
		}
	}
	return nil
}
