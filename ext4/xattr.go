package ext4

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/skerry-app/skerry/ext4/format"
)

// HoldsXattr says whether ext4 has a place for an extended attribute with this
// name.
func HoldsXattr(name string) bool {
	_, _, ok := format.SplitXattr(name)
	return ok
}

// xattrStore is what is outside of inodes: blocks of attributes that inodes
// share, and inodes of values that attributes share.
type xattrStore struct {
	blocks  []*xattrBlock
	latest  map[string]*xattrBlock // by contents: the one with room for more inodes
	values  []*xattrValue
	byValue map[string]*xattrValue
}

type xattrBlock struct {
	block    uint64
	refs     uint32
	contents []byte
}

// xattrValue is a value that is too large for a block.
type xattrValue struct {
	inode inode
	value []byte
	refs  uint32
}

// CheckXattrs says why a file cannot have these extended attributes, if it
// cannot.
func CheckXattrs(all map[string][]byte) error {
	_, _, err := splitXattrs(all)
	return err
}

// setXattrs puts the attributes of a node into its inode, those that do not
// fit there into a block, and values for which that is too small into inodes.
func (w *Writer) setXattrs(in *inode) (err error) {
	var outside []format.Xattr
	if in.xattrs, outside, err = splitXattrs(in.node.Xattrs); err != nil || len(outside) == 0 {
		return err
	}
	var values []*xattrValue
	for i := range outside {
		x := &outside[i]
		if x.Inode == 0 {
			continue
		}
		v, err := w.xattrs.value(w, x.Value)
		if err != nil {
			return err
		}
		x.Inode = v.inode.number
		values = append(values, v)
		in.blocks += v.inode.blocks // as if each inode had its own (fs/ext4/xattr.c, "quota")
	}
	in.blocks++
	b, err := w.xattrs.share(w, outside)
	if err != nil {
		return err
	}
	in.outside = b.block
	if b.refs == 1 {
		for _, v := range values {
			v.refs++
		}
	}
	return nil
}

// valueElsewhere stands for the number of an inode that is not known yet.
const valueElsewhere = ^uint32(0)

// splitXattrs returns the attributes for the inode and those for a block. Where
// all of these are too large, the largest values go elsewhere.
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
	for beside > format.XattrRoomBlock {
		var largest *format.Xattr
		for i := range outside {
			if x := &outside[i]; x.Inode == 0 && (largest == nil || len(x.Value) > len(largest.Value)) {
				largest = x
			}
		}
		if largest == nil || len(largest.Value) == 0 {
			return nil, nil, fmt.Errorf("names of %d extended attributes take %d bytes: there is room for %d", len(outside), beside, format.XattrRoomBlock)
		}
		beside -= largest.Len()
		largest.Inode = valueElsewhere
		beside += largest.Len()
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
		if len(value) > format.MaxXattr {
			return nil, fmt.Errorf("extended attribute %.300q has a value of %d bytes: Linux has at most %d", name, len(value), format.MaxXattr)
		}
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

// share returns the block with these attributes, with one more inode counted: a
// new one if there is none that can be shared.
func (x *xattrStore) share(w *Writer, xs []format.Xattr) (*xattrBlock, error) {
	contents := make([]byte, format.BlockSize)
	format.PutXattrBlock(contents, xs, w.seed)
	if b := x.latest[string(contents)]; b != nil && b.refs < format.XattrMaxRefs {
		b.refs++
		return b, nil
	}
	r, err := w.alloc.alloc(1)
	if err != nil {
		return nil, err
	}
	if x.latest == nil {
		x.latest = map[string]*xattrBlock{}
	}
	b := &xattrBlock{block: r.start, refs: 1, contents: contents}
	x.latest[string(contents)] = b
	x.blocks = append(x.blocks, b)
	return b, nil
}

// value returns the inode with a value. Its number follows those of all files.
func (x *xattrStore) value(w *Writer, value []byte) (*xattrValue, error) {
	if v := x.byValue[string(value)]; v != nil {
		return v, nil
	}
	v := &xattrValue{value: value}
	v.inode = inode{
		node:   &Node{Mode: format.TypeFile | 0o600, Mtime: time.Unix(0, 0)},
		number: w.lastInode() + uint32(len(x.values)) + 1, links: 1, size: uint64(len(value)),
	}
	blocks := make([]byte, roundUp(uint64(len(value)), format.BlockSize))
	copy(blocks, value)
	extents, err := w.writeBlocks(blocks)
	if err != nil {
		return nil, err
	}
	if err := w.setExtents(&v.inode, extents); err != nil {
		return nil, err
	}
	if x.byValue == nil {
		x.byValue = map[string]*xattrValue{}
	}
	x.byValue[string(value)] = v
	x.values = append(x.values, v)
	return v, nil
}

// valueInodes returns the inodes of values, in order of their numbers. The
// value's hash is in place of the time of access, the number of attributes that
// have it in place of the version (fs/ext4/xattr.c, ext4_xattr_inode_set_hash
// and _set_ref).
func (x *xattrStore) valueInodes(seed format.Seed) []inode {
	var all []inode
	for _, v := range x.values {
		v.inode.flags |= format.InodeEA
		v.inode.node.Atime = time.Unix(int64(format.XattrValueHash(v.value, seed)), 0)
		v.inode.version = v.refs
		all = append(all, v.inode)
	}
	return all
}

// write writes the blocks at the end, when it is known how many inodes share
// each.
func (x *xattrStore) write(w *Writer) error {
	for _, b := range x.blocks {
		format.FinishXattrBlock(b.contents, b.refs, b.block, w.seed)
		if err := w.out.put(b.block, b.contents); err != nil {
			return err
		}
	}
	return nil
}
