package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

const (
	xattrMagic      = 0xEA020000
	xattrEntrySize  = 16 // bytes before the name
	xattrHeaderSize = 32 // in a block; an inode has the magic only
	inodeXattrStart = 4
	// XattrMaxRefs is how many inodes may share a block of attributes.
	XattrMaxRefs = 1024
)

// Xattr is one extended attribute (attributes.rst). Name is what follows the
// prefix that Index stands for.
type Xattr struct {
	Index uint8
	Name  string
	Value []byte
	// Inode has the value as its contents (feature ea_inode); 0 where the value
	// is beside the name.
	Inode uint32
}

// xattrPrefixes are the namespaces that have a number (attributes.rst). The
// ones that are whole names come before the prefix they have in common.
var xattrPrefixes = []struct {
	prefix string
	index  uint8
	whole  bool
}{
	{"user.", 1, false},
	{ACLAccess, 2, true},
	{ACLDefault, 3, true},
	{"trusted.", 4, false},
	{"security.", 6, false},
	{"system.", xattrSystem, false},
}

// xattrSystem is the namespace that is the kernel's own but for access control
// lists: nobody can give a file an attribute in it.
const xattrSystem = 7

// The names of attributes that hold access control lists.
const (
	ACLAccess  = "system.posix_acl_access"
	ACLDefault = "system.posix_acl_default"
)

// SplitXattr returns the number of a name's namespace and the rest of the
// name; ok is false when ext4 has no such namespace or the rest does not fit.
func SplitXattr(name string) (index uint8, rest string, ok bool) {
	for _, p := range xattrPrefixes {
		rest, found := strings.CutPrefix(name, p.prefix)
		if found && p.whole == (rest == "") {
			return p.index, rest, p.index != xattrSystem && len(rest) <= MaxName
		}
	}
	return 0, "", false
}

func xattrPad(n int) int { return (n + 3) &^ 3 }

// Len returns the bytes that the attribute takes, without an inode for its
// value.
func (x *Xattr) Len() int {
	n := xattrEntrySize + xattrPad(len(x.Name))
	if x.Inode == 0 {
		n += xattrPad(len(x.Value))
	}
	return n
}

// XattrValueHash is the hash of a value that has an inode of its own
// (fs/ext4/xattr.c, ext4_xattr_inode_hash).
func XattrValueHash(value []byte, seed Seed) uint32 { return CRC(uint32(seed), value) }

// Room for attributes in an inode and in a block, in bytes: what is left of
// the sum of their lengths when the header and the end mark are taken off.
const (
	XattrRoomInode = InodeXattrSize - inodeXattrStart - 4
	XattrRoomBlock = BlockSize - xattrHeaderSize - 4
)

// PutInodeXattrs writes attributes into an inode. Their lengths together are
// at most XattrRoomInode.
func PutInodeXattrs(b *[InodeXattrSize]byte, xs []Xattr, seed Seed) {
	clear(b[:])
	binary.LittleEndian.PutUint32(b[:], xattrMagic)
	putXattrs(b[inodeXattrStart:], 0, xs, false, seed)
}

// PutXattrBlock writes attributes, sorted by index, length of the name and
// name, into a block that refs inodes share. Their lengths together are at
// most XattrRoomBlock. The checksum is set by FinishXattrBlock.
func PutXattrBlock(b []byte, xs []Xattr, seed Seed) {
	le := binary.LittleEndian
	clear(b)
	le.PutUint32(b[0x00:], xattrMagic)
	le.PutUint32(b[0x08:], 1) // h_blocks
	le.PutUint32(b[0x0C:], putXattrs(b, xattrHeaderSize, xs, true, seed))
}

// FinishXattrBlock sets the number of inodes that share a block and its
// checksum, which depends on the block's number.
func FinishXattrBlock(b []byte, refs uint32, block uint64, seed Seed) {
	le := binary.LittleEndian
	le.PutUint32(b[0x04:], refs)
	le.PutUint32(b[0x10:], 0)
	sum := CRC32(CRC32(uint32(seed), uint32(block)), uint32(block>>32))
	le.PutUint32(b[0x10:], CRC(sum, b))
}

// putXattrs writes entries from offset at upwards and their values from the
// end of b downwards. It returns the hash of all.
func putXattrs(b []byte, at int, xs []Xattr, hashed bool, seed Seed) (all uint32) {
	le := binary.LittleEndian
	end := len(b)
	for i := range xs {
		x := &xs[i]
		e := b[at:]
		e[0] = uint8(len(x.Name))
		e[1] = x.Index
		value := x.Value // the words that the hash is over
		if x.Inode != 0 {
			le.PutUint32(e[4:], x.Inode)
			value = le.AppendUint32(nil, XattrValueHash(x.Value, seed))
		} else if len(x.Value) > 0 {
			end -= xattrPad(len(x.Value))
			le.PutUint16(e[2:], uint16(end))
			copy(b[end:], x.Value)
			value = b[end : end+xattrPad(len(x.Value))]
		}
		le.PutUint32(e[8:], uint32(len(x.Value)))
		copy(e[xattrEntrySize:], x.Name)
		if hashed || x.Inode != 0 {
			h := x.hash(value)
			le.PutUint32(e[12:], h)
			all = all<<16 ^ all>>16 ^ h
		}
		at += xattrEntrySize + xattrPad(len(x.Name))
	}
	return all
}

// hash is e_hash, over the name and the value in whole words
// (fs/ext4/xattr.c, ext4_xattr_hash_entry).
func (x *Xattr) hash(value []byte) uint32 {
	var h uint32
	for _, c := range []byte(x.Name) {
		h = h<<5 ^ h>>27 ^ uint32(c)
	}
	for ; len(value) >= 4; value = value[4:] {
		h = h<<16 ^ h>>16 ^ binary.LittleEndian.Uint32(value)
	}
	return h
}

// InlineData is the attribute in an inode that has the contents of a file or a
// directory beyond the start in i_block (inlinedata.rst).
const InlineData = "system.data"

// JoinXattr returns the full name of an attribute; ok is false when its
// namespace has no name, as those have that a kernel keeps to itself.
func JoinXattr(index uint8, rest string) (name string, ok bool) {
	for _, p := range xattrPrefixes {
		if p.index == index && p.whole == (rest == "") {
			return p.prefix + rest, true
		}
	}
	return "", false
}

// XattrEntry is an attribute as it is found. Its value is there, or is the
// contents of an inode (attributes.rst, e_value_inum).
type XattrEntry struct {
	Xattr
	Size uint32 // of the value, also of one in an inode, bytes
}

// ParseInodeXattrs reads the attributes in what ParseInode returns. Names and
// values are parts of it.
func ParseInodeXattrs(b []byte) ([]XattrEntry, error) {
	if len(b) < inodeXattrStart || binary.LittleEndian.Uint32(b) != xattrMagic {
		return nil, nil
	}
	return parseXattrs(b[inodeXattrStart:], 0)
}

// ParseXattrBlock reads a block of attributes.
func ParseXattrBlock(b []byte) ([]XattrEntry, error) {
	le := binary.LittleEndian
	if magic, blocks := le.Uint32(b), le.Uint32(b[8:]); magic != xattrMagic || blocks != 1 {
		return nil, fmt.Errorf("block of extended attributes has the magic number %#x, not %#x, or %d blocks", magic, uint32(xattrMagic), blocks)
	}
	return parseXattrs(b, xattrHeaderSize)
}

// parseXattrs reads entries from offset at on, up to four bytes of zero. Values
// are somewhere in b behind the entries.
func parseXattrs(b []byte, at int) ([]XattrEntry, error) {
	le := binary.LittleEndian
	var all []XattrEntry
	for {
		if at+4 > len(b) {
			return nil, errors.New("extended attributes do not end")
		}
		if le.Uint32(b[at:]) == 0 {
			break
		}
		if at+xattrEntrySize > len(b) || at+xattrEntrySize+int(b[at]) > len(b) {
			return nil, fmt.Errorf("extended attribute at byte %d goes beyond its %d bytes of room", at, len(b))
		}
		e := b[at:]
		x := XattrEntry{Size: le.Uint32(e[8:])}
		x.Index, x.Inode = e[1], le.Uint32(e[4:])
		name := e[xattrEntrySize : xattrEntrySize+int(e[0])]
		if bytes.IndexByte(name, 0) >= 0 {
			return nil, fmt.Errorf("extended attribute has the name %q", name)
		}
		x.Name = string(name)
		if from, n := uint64(le.Uint16(e[2:])), uint64(x.Size); x.Inode == 0 && n > 0 {
			if from < uint64(at) || from+n > uint64(len(b)) {
				return nil, fmt.Errorf("extended attribute %q has a value of %d bytes at byte %d of %d", name, n, from, len(b))
			}
			x.Value = b[from : from+n]
		}
		all = append(all, x)
		at += xattrEntrySize + xattrPad(len(name))
	}
	return all, nil
}

// VerifyXattrBlock compares the checksum of a block of attributes.
func VerifyXattrBlock(b []byte, block uint64, seed Seed) error {
	sum := CRC32(CRC32(uint32(seed), uint32(block)), uint32(block>>32))
	return compare(binary.LittleEndian.Uint32(b[0x10:]), crcWithout(sum, b, 0x10, 4))
}
