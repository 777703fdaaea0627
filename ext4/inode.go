package ext4

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/skerry-app/skerry/ext4/format"
)

const lostFound = "lost+found"

// inode is a node with its number and with what it has in the file system.
type inode struct {
	node      *Node
	parent    uint32 // of a directory
	number    uint32
	links     uint32
	size      uint64
	blocks    uint64 // taken by data, its tree and attributes
	flags     uint32
	version   uint32
	block     [format.InodeBlockSize]byte
	xattrs    []format.Xattr // those in the inode itself
	outside   uint64         // block with the others
	pathAbove string         // of a directory, for errors
}

// at returns the inode with a number.
func (w *Writer) at(number uint32) *inode {
	if number == format.RootInode {
		return &w.inodes[0]
	}
	return &w.inodes[number-format.FirstInode+1]
}

// number gives all nodes their numbers: a directory's entries one after the
// other, so that inodes that are looked up together are together on disk.
func (w *Writer) number(root *Node) (map[*Node]uint32, error) {
	if root == nil || !root.IsDir() || root.links != 0 {
		return nil, errors.New("root is not a directory or has a name")
	}
	n := numbering{w: w, numbers: map[*Node]uint32{}}
	w.inodes = append(w.inodes, inode{node: root, number: format.RootInode, parent: format.RootInode, links: 2, pathAbove: "/"})
	return n.numbers, n.directory(0)
}

type numbering struct {
	w       *Writer
	numbers map[*Node]uint32 // all but the root's
}

func (n *numbering) directory(index int) error {
	dir := n.w.inodes[index].node
	where := n.w.inodes[index].pathAbove
	first := len(n.w.inodes)
	names := dir.Names()
	if index == 0 && dir.Entry(lostFound) != nil {
		if err := n.entry(index, lostFound, where); err != nil {
			return err
		}
	}
	for _, name := range names {
		if index == 0 && name == lostFound {
			continue
		}
		if err := n.entry(index, name, where); err != nil {
			return err
		}
	}
	for i, end := first, len(n.w.inodes); i < end; i++ {
		if n.w.inodes[i].node.IsDir() {
			if err := n.directory(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// entry numbers what a name stands for, if no earlier name has done so.
func (n *numbering) entry(parent int, name, where string) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	node := n.w.inodes[parent].node.Entry(name)
	if _, ok := n.numbers[node]; ok && !node.IsDir() {
		return nil // a further name
	}
	if err := node.check(); err != nil {
		return fmt.Errorf("%s: %w", path.Join(where, name), err)
	}
	index := len(n.w.inodes)
	i := inode{node: node, number: uint32(index + format.FirstInode - 1), links: uint32(node.links)}
	if node.IsDir() {
		i.parent, i.links, i.pathAbove = n.w.inodes[parent].number, 2, path.Join(where, name)
		n.w.inodes[parent].links++
	}
	n.numbers[node] = i.number
	n.w.inodes = append(n.w.inodes, i)
	return nil
}

func checkName(name string) error {
	if name == "" || name == "." || name == ".." || len(name) > format.MaxName || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("name %.300q cannot be in a directory", name)
	}
	return nil
}

// check finds what ext4 cannot express.
func (n *Node) check() error {
	switch n.Mode & format.TypeMask {
	case format.TypeDir:
		if n.links > 1 {
			return errors.New("directory has more than one name")
		}
	case format.TypeLink:
		if len(n.Target) == 0 || len(n.Target) > format.MaxSymlink || strings.Contains(n.Target, "\x00") {
			return fmt.Errorf("symbolic link has a target of %d bytes: it may have 1 to %d and no zero", len(n.Target), format.MaxSymlink)
		}
	case format.TypeChar, format.TypeBlock:
		if n.Major > format.MaxMajor || n.Minor > format.MaxMinor {
			return fmt.Errorf("device %d:%d does not exist: numbers go up to %d:%d", n.Major, n.Minor, format.MaxMajor, format.MaxMinor)
		}
	case format.TypeFile, format.TypeFIFO, format.TypeSocket:
	default:
		return fmt.Errorf("mode %#o has no type of file", n.Mode)
	}
	if n.links > format.MaxLinks {
		return fmt.Errorf("file has %d names: ext4 has at most %d", n.links, format.MaxLinks)
	}
	return nil
}

// build writes the directories, and what else inodes point to, and fills the
// inodes.
func (w *Writer) build(number map[*Node]uint32) error {
	for i := range w.inodes {
		in := &w.inodes[i]
		if err := w.setXattrs(in); err != nil {
			return fmt.Errorf("inode %d (%s): %w", in.number, w.describe(in), err)
		}
		if err := w.setBlock(in, number); err != nil {
			return fmt.Errorf("inode %d (%s): %w", in.number, w.describe(in), err)
		}
	}
	w.inodes = append(w.inodes, w.xattrs.valueInodes(w.seed)...)
	return nil
}

// describe finds a name for an error.
func (w *Writer) describe(in *inode) string {
	if in.node.IsDir() {
		return in.pathAbove
	}
	for i := range w.inodes {
		for name, n := range w.inodes[i].node.entries {
			if n == in.node {
				return path.Join(w.inodes[i].pathAbove, name)
			}
		}
	}
	return "no name"
}

// setBlock fills i_block and what it points to.
func (w *Writer) setBlock(in *inode, number map[*Node]uint32) error {
	n := in.node
	switch n.Mode & format.TypeMask {
	case format.TypeDir:
		return w.setDirectory(in, number)
	case format.TypeFile:
		if n.Data == nil {
			return w.setExtents(in, nil)
		}
		in.size = uint64(n.Data.size)
		return w.setExtents(in, n.Data.extents)
	case format.TypeLink:
		in.size = uint64(len(n.Target))
		if len(n.Target) < format.InodeBlockSize {
			copy(in.block[:], n.Target)
			return nil
		}
		block := make([]byte, format.BlockSize)
		copy(block, n.Target)
		extents, err := w.writeBlocks(block)
		if err != nil {
			return err
		}
		return w.setExtents(in, extents)
	case format.TypeChar, format.TypeBlock:
		format.PutDevice(&in.block, n.Major, n.Minor)
	}
	return nil
}

// writeBlocks writes whole blocks of metadata to where there is room, and maps
// them.
func (w *Writer) writeBlocks(p []byte) ([]format.Extent, error) {
	var b Blob
	for at := 0; at < len(p); at += chunkSize {
		if err := w.place(&b, uint32(at/format.BlockSize), p[at:min(at+chunkSize, len(p))]); err != nil {
			return nil, err
		}
	}
	return b.extents, nil
}

// put encodes an inode.
func (in *inode) put(b []byte, seed format.Seed) {
	n := in.node
	if in.links > format.MaxLinks { // directories only (dir_nlink)
		in.links = 1
	}
	d := format.Inode{
		Mode: n.Mode, UID: n.UID, GID: n.GID, Size: in.size,
		Mtime: n.Mtime, Atime: n.Atime, Ctime: n.Ctime, Crtime: n.Mtime,
		Links: uint16(in.links), Sectors: in.blocks * (format.BlockSize / format.SectorSize),
		Flags: in.flags, Version: in.version, Block: in.block, XattrBlock: in.outside,
	}
	if d.Atime.IsZero() {
		d.Atime = n.Mtime
	}
	if d.Ctime.IsZero() {
		d.Ctime = n.Mtime
	}
	if len(in.xattrs) > 0 {
		format.PutInodeXattrs(&d.Xattrs, in.xattrs, seed)
	}
	d.Put(b, seed.Inode(in.number))
}
