package reader

import (
	"github.com/skerry-app/skerry/ext4/format"
)

// find looks a name up in a directory; ok is false when it is not there. It
// reads the index of the directory if that has one, and all of it if not.
func (in *Inode) find(name string) (e entry, ok bool, err error) {
	match := func(d *format.Dirent) bool {
		if string(d.Name) == name {
			e, ok = newEntry(d), true
		}
		return !ok
	}
	if in.flags&format.InodeIndex == 0 || in.flags&format.InodeInlineData != 0 {
		err = in.scan(match)
		return e, ok, err
	}
	b, err := in.dirBlock(0)
	if err != nil {
		return entry{}, false, err
	}
	root, err := format.ParseDXRoot(b)
	if err != nil {
		return entry{}, false, corrupt("inode %d: %w", in.Number, err)
	}
	s := in.fs.super
	hash, known := format.NameHash(root.Hash, s.Flags&format.FlagUnsignedHash == 0, name, s.HashSeed)
	if !known {
		err = in.scan(match)
		return e, ok, err
	}
	err = in.findHashed(root, hash, match)
	return e, ok, err
}

// dxFrame is a node on the way from an index's root to a leaf, and the entry
// that is taken.
type dxFrame struct {
	node format.DXNode
	at   int
}

// findHashed visits the entries of the blocks that can have names of a hash.
func (in *Inode) findHashed(root format.DXRoot, hash uint32, visit func(d *format.Dirent) bool) error {
	levels := 1 // below the root at most
	if in.fs.super.Incompat&format.IncompatLargedir != 0 {
		levels = 2
	}
	if root.Levels > levels {
		return corrupt("inode %d: directory's index has %d levels below the root, at most %d are possible", in.Number, root.Levels, levels)
	}
	path := make([]dxFrame, root.Levels+1)
	path[0].node = root.DXNode
	for level := range path {
		if err := in.descend(path, level); err != nil {
			return err
		}
		at, err := in.searchDX(path[level].node, hash)
		if err != nil {
			return err
		}
		path[level].at = at
	}
	for range in.dirBlocks() {
		leaf := path[root.Levels].node.Entry(path[root.Levels].at).Block
		b, err := in.dirBlock(leaf)
		if err != nil {
			return err
		}
		if more, err := in.scanBlock(b, leaf, 0, visit); !more || err != nil {
			return err
		}
		if more, err := in.nextLeaf(path, hash); !more || err != nil {
			return err
		}
	}
	return corrupt("inode %d: directory's index goes on for more than its %d blocks", in.Number, in.dirBlocks())
}

// descend reads the node of a level below the root that the level above leads
// to.
func (in *Inode) descend(path []dxFrame, level int) error {
	if level == 0 {
		return nil
	}
	above := path[level-1]
	b, err := in.dirBlock(above.node.Entry(above.at).Block)
	if err != nil {
		return err
	}
	node, err := format.ParseDXNode(b)
	if err != nil {
		return corrupt("inode %d: %w", in.Number, err)
	}
	path[level] = dxFrame{node: node}
	return nil
}

// searchDX returns the last entry of a node whose hash is not above the given
// one.
func (in *Inode) searchDX(node format.DXNode, hash uint32) (at int, err error) {
	before := uint32(0)
	for i := range node.Len() {
		e := node.Entry(i)
		if e.Hash < before {
			return 0, corrupt("inode %d: directory's index is not in order", in.Number)
		}
		if e.Hash <= hash {
			at = i
		}
		before = e.Hash
	}
	return at, nil
}

// nextLeaf goes on to the next leaf when names of the hash go on there, which
// the lowest bit of the next entry's hash says.
func (in *Inode) nextLeaf(path []dxFrame, hash uint32) (more bool, err error) {
	level := len(path) - 1
	for ; path[level].at+1 == path[level].node.Len(); level-- {
		if level == 0 {
			return false, nil
		}
	}
	path[level].at++
	if next := path[level].node.Entry(path[level].at).Hash; next != hash|1 {
		return false, nil
	}
	for level++; level < len(path); level++ {
		if err := in.descend(path, level); err != nil {
			return false, err
		}
	}
	return true, nil
}
