package ext4

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/skerry-app/skerry/ext4/format"
)

// dirent is an entry of a directory to be written.
type dirent struct {
	hash   uint32
	number uint32
	kind   uint8
	name   string
}

func (d *dirent) len() int { return format.DirentLen(len(d.name)) }

// setDirectory writes a directory: one plain block where it fits, otherwise a
// hashed one.
func (w *Writer) setDirectory(in *inode, number map[*Node]uint32) error {
	dots := []dirent{
		{number: in.number, kind: format.DirentType(format.TypeDir), name: "."},
		{number: in.parent, kind: format.DirentType(format.TypeDir), name: ".."},
	}
	entries := make([]dirent, 0, len(in.node.entries))
	room := dots[0].len() + dots[1].len()
	for _, name := range in.node.Names() {
		n := in.node.entries[name]
		e := dirent{number: number[n], kind: format.DirentType(n.Mode), name: name}
		room += e.len()
		entries = append(entries, e)
	}
	var blocks []byte
	if room <= format.DirRoom {
		blocks = make([]byte, format.BlockSize)
		putDirents(blocks, append(dots, entries...), w.seed.Inode(in.number))
	} else {
		var err error
		if blocks, err = w.hashed(in, entries); err != nil {
			return err
		}
		in.flags |= format.InodeIndex
	}
	in.size = uint64(len(blocks))
	extents, err := w.writeBlocks(blocks)
	if err != nil {
		return err
	}
	return w.setExtents(in, extents)
}

// putDirents fills a directory block. The last entry takes what is left.
func putDirents(b []byte, entries []dirent, seed format.Seed) {
	at := 0
	for i, e := range entries {
		n := e.len()
		if i == len(entries)-1 {
			n = format.DirRoom - at
		}
		format.PutDirent(b[at:], e.number, n, e.kind, e.name)
		at += n
	}
	format.PutDirTail(b, seed)
}

// hashed returns the blocks of a hashed directory: the root of the index, its
// nodes if the leaves are too many for the root, and the leaves.
func (w *Writer) hashed(in *inode, entries []dirent) ([]byte, error) {
	for i := range entries {
		entries[i].hash = format.HalfMD4(entries[i].name, w.options.HashSeed)
	}
	slices.SortFunc(entries, func(a, b dirent) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.name, b.name))
	})
	leaves := w.leaves(entries)
	nodes := 0
	if len(leaves) > format.DXRootLimit {
		nodes = (len(leaves) + format.DXNodeLimit - 1) / format.DXNodeLimit
	}
	if nodes > format.DXRootLimit {
		return nil, fmt.Errorf("directory has %d entries: too many for an index of two levels", len(entries))
	}
	seed := w.seed.Inode(in.number)
	blocks := make([]byte, (1+nodes+len(leaves))*format.BlockSize)
	block := func(i int) []byte { return blocks[i*format.BlockSize : (i+1)*format.BlockSize] }

	index := make([]format.DXEntry, len(leaves))
	for i, leaf := range leaves {
		index[i] = format.DXEntry{Hash: leaf[0].hash, Block: uint32(1 + nodes + i)}
		if i > 0 && leaves[i-1][len(leaves[i-1])-1].hash == leaf[0].hash {
			index[i].Hash |= 1 // names with this hash begin in the block before
		}
		putDirents(block(1+nodes+i), leaf, seed)
	}
	if nodes == 0 {
		format.PutDXRoot(block(0), in.number, in.parent, 0, index, seed)
		return blocks, nil
	}
	var root []format.DXEntry
	for part := range slices.Chunk(index, format.DXNodeLimit) {
		at := 1 + len(root)
		root = append(root, format.DXEntry{Hash: part[0].Hash, Block: uint32(at)})
		format.PutDXNode(block(at), part, seed)
	}
	format.PutDXRoot(block(0), in.number, in.parent, 1, root, seed)
	return blocks, nil
}

// leaves cuts sorted entries into blocks. In a file system that will be
// written to, a fifth of each stays free for more.
func (w *Writer) leaves(entries []dirent) [][]dirent {
	room := format.DirRoom
	if !w.geo.compact {
		room = format.DirRoom * 4 / 5
	}
	var leaves [][]dirent
	first, used := 0, 0
	for i := range entries {
		n := entries[i].len()
		if used+n > room {
			leaves = append(leaves, entries[first:i])
			first, used = i, 0
		}
		used += n
	}
	return append(leaves, entries[first:])
}
