package reader

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/skerry-app/skerry/ext4/format"
)

// entry is what a directory says of a name.
type entry struct {
	name  string
	inode uint32
	kind  uint16 // type bits of the mode, 0 when the directory does not say
}

// scan calls visit with the entries of a directory but for "." and "..", in
// the directory's order, until it returns false. It checks that those two are
// there and right.
func (in *Inode) scan(visit func(d *format.Dirent) bool) error {
	if in.flags&format.InodeInlineData != 0 {
		return in.scanInline(visit)
	}
	for n := range in.dirBlocks() {
		b, err := in.dirBlock(n)
		if err != nil {
			return err
		}
		at := 0
		if n == 0 {
			if at, err = in.dots(b); err != nil {
				return err
			}
		}
		if more, err := in.scanBlock(b, n, at, visit); !more || err != nil {
			return err
		}
	}
	return nil
}

// dirBlocks returns the number of blocks of the directory.
func (in *Inode) dirBlocks() uint32 {
	size := int64(in.fs.super.blockSize)
	return uint32((in.Size + size - 1) / size)
}

// checkParent finds a directory whose ".." is not where its name was found.
// Without such ones, and with open, no directory is below itself, and only names
// in the same directory, which list looks for, can be of one directory.
func (in *Inode) checkParent() error {
	if in.flags&format.InodeInlineData != 0 {
		return in.checkInlineParent()
	}
	b, err := in.dirBlock(0)
	if err != nil {
		return err
	}
	_, err = in.dots(b)
	return err
}

// dirBlock reads a block of the directory.
func (in *Inode) dirBlock(n uint32) ([]byte, error) {
	if n >= in.dirBlocks() {
		return nil, corrupt("inode %d: directory of %d blocks has no block %d", in.Number, in.dirBlocks(), n)
	}
	s, err := in.span(uint64(n))
	if err != nil {
		return nil, err
	}
	if s.physical == 0 {
		return nil, corrupt("inode %d: block %d of the directory is a hole", in.Number, n)
	}
	number := s.physical + uint64(n) - s.logical
	b, err := in.fs.block(number)
	if err != nil {
		return nil, fmt.Errorf("inode %d: directory: %w", in.Number, err)
	}
	if in.fs.super.checksums {
		verify := format.VerifyDirents
		if in.flags&format.InodeIndex != 0 && n == 0 {
			verify = format.VerifyDXRoot
		} else if in.flags&format.InodeIndex != 0 && format.IsDXNode(b) {
			verify = format.VerifyDXNode
		}
		if err := verify(b, in.seed); err != nil {
			return nil, corrupt("inode %d: block %d of the directory (block %d): %w", in.Number, n, number, err)
		}
	}
	return b, nil
}

// dots returns where the entries after "." and ".." are in a directory's first
// block.
func (in *Inode) dots(b []byte) (at int, err error) {
	for _, want := range [...]entry{{name: ".", inode: in.Number}, {name: "..", inode: in.parent}} {
		d, err := in.dirent(b, at)
		if err != nil {
			return 0, err
		}
		if string(d.Name) != want.name || d.Inode != want.inode {
			return 0, corrupt("inode %d: directory has %q of inode %d where %q of inode %d has to be", in.Number, d.Name, d.Inode, want.name, want.inode)
		}
		at += d.Len
	}
	return at, nil
}

// dirent reads the entry at an offset of a directory block, or of a piece of a
// directory in an inode.
func (in *Inode) dirent(b []byte, at int) (format.Dirent, error) {
	s := in.fs.super
	d, err := format.ParseDirent(b[at:], s.blockSize, s.Incompat&format.IncompatFiletype != 0)
	if err == nil && d.Inode > s.InodesCount {
		err = fmt.Errorf("%q is inode %d of %d", d.Name, d.Inode, s.InodesCount)
	}
	if err != nil {
		return d, corrupt("inode %d: directory at byte %d of %d: %w", in.Number, at, len(b), err)
	}
	return d, nil
}

// scanBlock visits the entries from an offset of a block on. more is false
// when visit has returned that.
func (in *Inode) scanBlock(b []byte, n uint32, at int, visit func(d *format.Dirent) bool) (more bool, err error) {
	for at < len(b) {
		d, err := in.dirent(b, at)
		if err != nil {
			return false, err
		}
		if d.Inode != 0 {
			if name := string(d.Name); name == "." || name == ".." {
				return false, corrupt("inode %d: directory has a further %q in block %d", in.Number, name, n)
			}
			if !visit(&d) {
				return false, nil
			}
		}
		at += d.Len
	}
	return true, nil
}

// inlineDotdot is how many bytes of i_block have the parent of a directory
// that is in its inode; entries follow (inlinedata.rst, "Inline Directories").
const inlineDotdot = 4

// scanInline is scan for a directory that is in its inode.
func (in *Inode) scanInline(visit func(d *format.Dirent) bool) error {
	if err := in.checkInlineParent(); err != nil {
		return err
	}
	rest, err := in.inlineRest()
	if err != nil {
		return err
	}
	if in.Size > int64(len(in.block)+len(rest)) {
		return corrupt("inode %d: directory has %d bytes, of which %d are in the inode", in.Number, in.Size, len(in.block)+len(rest))
	}
	more, err := in.scanBlock(in.block[inlineDotdot:], 0, 0, visit)
	if !more || err != nil {
		return err
	}
	_, err = in.scanBlock(rest, 0, 0, visit)
	return err
}

func (in *Inode) checkInlineParent() error {
	if got := binary.LittleEndian.Uint32(in.block[:]); got != in.parent {
		return corrupt("inode %d: directory is in inode %d and says that it is in %d", in.Number, in.parent, got)
	}
	return nil
}

// list returns the entries of a directory, sorted by name. All have a type.
func (in *Inode) list() ([]entry, error) {
	var all []entry
	err := in.scan(func(d *format.Dirent) bool {
		all = append(all, newEntry(d))
		return true
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	directories := map[uint32]string{}
	for i := range all {
		e := &all[i]
		if i > 0 && all[i-1].name == e.name {
			return nil, corrupt("inode %d: directory has the name %q twice", in.Number, e.name)
		}
		if e.kind == 0 {
			child, err := in.fs.inode(e.inode)
			if err != nil {
				return nil, err
			}
			e.kind = child.Mode & format.TypeMask
		}
		if e.kind != format.TypeDir {
			continue
		}
		if other, ok := directories[e.inode]; ok {
			return nil, corrupt("inode %d: names %q and %q are of one directory", in.Number, other, e.name)
		}
		directories[e.inode] = e.name
	}
	return all, nil
}

func newEntry(d *format.Dirent) entry {
	return entry{name: string(d.Name), inode: d.Inode, kind: format.DirentMode(d.Kind)}
}

// open returns the inode of an entry of the directory.
func (in *Inode) open(e entry) (*Inode, error) {
	if e.inode == in.Number { // the root's ".." would be right
		return nil, corrupt("inode %d: directory has itself by the name %q", in.Number, e.name)
	}
	child, err := in.fs.inode(e.inode)
	if err != nil {
		return nil, err
	}
	if e.kind != 0 && e.kind != child.Mode&format.TypeMask {
		return nil, corrupt("inode %d: directory says that inode %d has mode %#o, it has %#o", in.Number, e.inode, e.kind, child.Mode)
	}
	if child.isDir() {
		child.parent = in.Number
		return child, child.checkParent()
	}
	return child, nil
}
