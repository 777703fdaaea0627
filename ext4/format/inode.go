package format

import (
	"encoding/binary"
	"fmt"
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
	InodeEncrypted  = 0x800
	InodeIndex      = 0x1000     // a directory with a hash tree
	InodeExtents    = 0x80000    // i_block is the root of an extent tree
	InodeEA         = 0x200000   // holds the value of an extended attribute
	InodeInlineData = 0x10000000 // contents are in i_block and in an attribute
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

// Inode is an inode (inodes.rst); Put writes one of InodeSize bytes.
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
	Generation uint32 // only of parsed ones; Put leaves it 0
	Block      [InodeBlockSize]byte
	XattrBlock uint64               // block of extended attributes, 0 for none
	Xattrs     [InodeXattrSize]byte // extended attributes in the inode, zero for none; only for Put
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

const (
	inodeCsumLoAt = 0x7C // i_checksum_lo
	inodeCsumHiAt = 0x82 // i_checksum_hi
	extraSizeAt   = 0x80 // i_extra_isize
)

// extraSize returns how many bytes after the first MinInodeSize are in use for
// fields.
func extraSize(b []byte) int {
	if len(b) <= MinInodeSize {
		return 0
	}
	return int(binary.LittleEndian.Uint16(b[extraSizeAt:]))
}

// ParseInode reads an inode, whose size is that of b: MinInodeSize bytes or
// more. What it has of extended attributes, with their header, is returned
// apart and is a part of b.
func ParseInode(b []byte) (i Inode, xattrs []byte, err error) {
	le := binary.LittleEndian
	extra := extraSize(b)
	if extra%4 != 0 || MinInodeSize+extra > len(b) {
		return Inode{}, nil, fmt.Errorf("fields after the first %d bytes have %d bytes (i_extra_isize), the inode has %d", MinInodeSize, extra, len(b))
	}
	i = Inode{
		Mode:       le.Uint16(b[0x00:]),
		UID:        uint32(le.Uint16(b[0x02:])) | uint32(le.Uint16(b[0x78:]))<<16,
		GID:        uint32(le.Uint16(b[0x18:])) | uint32(le.Uint16(b[0x7A:]))<<16,
		Size:       uint64(le.Uint32(b[0x04:])) | uint64(le.Uint32(b[0x6C:]))<<32,
		Links:      le.Uint16(b[0x1A:]),
		Sectors:    uint64(le.Uint32(b[0x1C:])) | uint64(le.Uint16(b[0x74:]))<<32,
		Flags:      le.Uint32(b[0x20:]),
		Block:      [InodeBlockSize]byte(b[0x28:]),
		Generation: le.Uint32(b[0x64:]),
		XattrBlock: uint64(le.Uint32(b[0x68:])) | uint64(le.Uint16(b[0x76:]))<<32,
	}
	fields := b[:MinInodeSize+extra]
	i.Atime = parseTime(fields, 0x08, 0x8C)
	i.Ctime = parseTime(fields, 0x0C, 0x84)
	i.Mtime = parseTime(fields, 0x10, 0x88)
	if len(fields) >= 0x94 {
		i.Crtime = parseTime(fields, 0x90, 0x94)
	}
	if extra > 0 {
		xattrs = b[len(fields):]
	}
	return i, xattrs, nil
}

// parseTime reads a time at offset at, and its epoch bits and nanoseconds at
// offset extra if the fields go that far.
func parseTime(fields []byte, at, extra int) time.Time {
	s := int64(int32(binary.LittleEndian.Uint32(fields[at:])))
	if len(fields) < extra+4 {
		return time.Unix(s, 0)
	}
	e := binary.LittleEndian.Uint32(fields[extra:])
	return time.Unix(s+int64(e&3)<<32, int64(e>>2))
}

// VerifyInode compares the checksum of the inode b. The seed is that of the
// inode.
func VerifyInode(b []byte, inode Seed) error {
	le := binary.LittleEndian
	stored := uint32(le.Uint16(b[inodeCsumLoAt:]))
	if extraSize(b) < inodeCsumHiAt+2-MinInodeSize {
		return compare(stored, crcWithout(uint32(inode), b, inodeCsumLoAt, 2)&0xFFFF)
	}
	stored |= uint32(le.Uint16(b[inodeCsumHiAt:])) << 16
	sum := crcWithout(uint32(inode), b[:inodeCsumHiAt], inodeCsumLoAt, 2)
	return compare(stored, crcWithout(sum, b[inodeCsumHiAt:], 0, 2))
}

// InodeGeneration returns the generation that is in the inode b, before
// anything of it is known to be right.
func InodeGeneration(b []byte) uint32 { return binary.LittleEndian.Uint32(b[0x64:]) }

// Device reads a device's number from i_block: see PutDevice.
func Device(block *[InodeBlockSize]byte) (major, minor uint32) {
	if old := binary.LittleEndian.Uint32(block[0:]); old != 0 {
		return old >> 8 & 0xFF, old & 0xFF
	}
	dev := binary.LittleEndian.Uint32(block[4:])
	return dev >> 8 & MaxMajor, dev&0xFF | dev>>12&^0xFF
}
