package format

import (
	"encoding/binary"
	"time"
)

// File types in the top bits of a mode (inodes.rst, i_mode; the same as
// st_mode of stat(2)).
const (
	TypeMask   = 0xF000
	TypeFIFO   = 0x1000
	TypeChar   = 0x2000
	TypeDir    = 0x4000
	TypeBlock  = 0x6000
	TypeFile   = 0x8000
	TypeLink   = 0xA000
	TypeSocket = 0xC000
)

// Flags of an inode (inodes.rst, i_flags).
const (
	InodeIndex   = 0x1000   // a directory with a hash tree
	InodeExtents = 0x80000  // i_block is the root of an extent tree
	InodeEAInode = 0x200000 // the contents are the value of an extended attribute
)

const (
	// InodeBlockSize is the size in bytes of i_block, which holds the root of
	// the extent tree, a short symbolic link's target or a device's number.
	InodeBlockSize = 60
	// ExtraSize is how much of the fields after the first 128 bytes is in use
	// (i_extra_isize): all up to the project's number.
	ExtraSize = 32
	// InodeXattrOffset is where extended attributes start in an inode.
	InodeXattrOffset = 128 + ExtraSize
	// InodeXattrSize is the room for them in bytes, header included.
	InodeXattrSize = InodeSize - InodeXattrOffset
)

// Inode is an inode of InodeSize bytes (inodes.rst).
type Inode struct {
	Mode       uint16
	UID, GID   uint32
	Size       uint64
	Atime      time.Time
	Ctime      time.Time
	Mtime      time.Time
	Crtime     time.Time
	Links      uint16
	Sectors    uint64 // space taken, in SectorSize
	Flags      uint32
	Version    uint32 // low half of i_version
	Block      [InodeBlockSize]byte
	XattrBlock uint64               // block of extended attributes, 0 for none
	Xattrs     [InodeXattrSize]byte // extended attributes in the inode, zero for none
}

// Put writes the inode, with its checksum, into the InodeSize bytes of b.
func (i *Inode) Put(b []byte, seed Seed) {
	le := binary.LittleEndian
	b = b[:InodeSize]
	clear(b)
	le.PutUint16(b[0x00:], i.Mode)
	le.PutUint16(b[0x02:], uint16(i.UID))
	le.PutUint32(b[0x04:], uint32(i.Size))
	putTime(b, 0x08, 0x8C, i.Atime)
	putTime(b, 0x0C, 0x84, i.Ctime)
	putTime(b, 0x10, 0x88, i.Mtime)
	putTime(b, 0x90, 0x94, i.Crtime)
	le.PutUint16(b[0x18:], uint16(i.GID))
	le.PutUint16(b[0x1A:], i.Links)
	le.PutUint32(b[0x1C:], uint32(i.Sectors))
	le.PutUint32(b[0x20:], i.Flags)
	le.PutUint32(b[0x24:], i.Version)
	copy(b[0x28:], i.Block[:])
	le.PutUint32(b[0x68:], uint32(i.XattrBlock))
	le.PutUint32(b[0x6C:], uint32(i.Size>>32))
	le.PutUint16(b[0x74:], uint16(i.Sectors>>32))
	le.PutUint16(b[0x76:], uint16(i.XattrBlock>>32))
	le.PutUint16(b[0x78:], uint16(i.UID>>16))
	le.PutUint16(b[0x7A:], uint16(i.GID>>16))
	le.PutUint16(b[0x80:], ExtraSize)
	copy(b[InodeXattrOffset:], i.Xattrs[:])
	sum := CRC(uint32(seed), b)
	le.PutUint16(b[0x7C:], uint16(sum))
	le.PutUint16(b[0x82:], uint16(sum>>16))
}

// The range of an inode's times (inodes.rst, "Inode Timestamps"): 34 bits of
// seconds, of which two say how many times 2^32 to add to a signed number.
var (
	minTime = time.Unix(-1<<31, 0)
	maxTime = time.Unix(3<<32+1<<31-1, 999999999)
)

// putTime writes t at offset at, and its epoch bits and nanoseconds at offset
// extra. What is out of range becomes the nearest time in it.
func putTime(b []byte, at, extra int, t time.Time) {
	if t.Before(minTime) {
		t = minTime
	} else if t.After(maxTime) {
		t = maxTime
	}
	s := t.Unix()
	epoch := uint32((s-int64(int32(s)))>>32) & 3
	binary.LittleEndian.PutUint32(b[at:], uint32(s))
	binary.LittleEndian.PutUint32(b[extra:], epoch|uint32(t.Nanosecond())<<2)
}

// Limits of a device's number as Linux has it: 12 and 20 bits.
const (
	MaxMajor = 1<<12 - 1
	MaxMinor = 1<<20 - 1
)

// PutDevice writes a device's number into i_block: in the first word where it
// fits into the old 16 bits, otherwise in the second (ifork.rst is silent;
// fs/ext4/inode.c, ext4_do_update_inode).
func PutDevice(block *[InodeBlockSize]byte, major, minor uint32) {
	if major < 256 && minor < 256 {
		binary.LittleEndian.PutUint32(block[0:], major<<8|minor)
		return
	}
	binary.LittleEndian.PutUint32(block[4:], minor&0xFF|major<<8|minor&^0xFF<<12)
}
