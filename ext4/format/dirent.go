package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	direntSize = 8 // bytes before the name
	// DirTailSize is the entry-like end of a block that holds its checksum.
	DirTailSize = 12
	dirTailType = 0xDE
	// DirRoom is the room for entries in a directory block, in bytes.
	DirRoom = BlockSize - DirTailSize
)

// DirentLen returns the bytes that an entry with a name of n bytes takes.
func DirentLen(n int) int { return (direntSize + n + 3) &^ 3 }

// DirentType returns the file type in a directory entry for a mode
// (directory.rst, struct ext4_dir_entry_2).
func DirentType(mode uint16) uint8 {
	switch mode & TypeMask {
	case TypeFile:
		return 1
	case TypeDir:
		return 2
	case TypeChar:
		return 3
	case TypeBlock:
		return 4
	case TypeFIFO:
		return 5
	case TypeSocket:
		return 6
	case TypeLink:
		return 7
	}
	return 0
}

// PutDirent writes a directory entry into b; length is its distance to the
// next one in bytes.
func PutDirent(b []byte, inode uint32, length int, kind uint8, name string) {
	binary.LittleEndian.PutUint32(b[0:], inode)
	binary.LittleEndian.PutUint16(b[4:], uint16(length))
	b[6] = uint8(len(name))
	b[7] = kind
	copy(b[direntSize:], name)
}

// PutDirTail ends a directory block with its checksum (struct
// ext4_dir_entry_tail).
func PutDirTail(b []byte, inode Seed) {
	t := b[DirRoom:BlockSize]
	clear(t)
	binary.LittleEndian.PutUint16(t[4:], DirTailSize)
	t[7] = dirTailType
	binary.LittleEndian.PutUint32(t[8:], CRC(uint32(inode), b[:DirRoom]))
}

// DirentMode returns the type bits of the mode that a file type in a directory
// entry stands for, 0 for one that says nothing.
func DirentMode(kind uint8) uint16 {
	for mode := uint16(TypeFIFO); mode <= TypeSocket; mode += TypeFIFO {
		if kind != 0 && DirentType(mode) == kind {
			return mode
		}
	}
	return 0
}

// Dirent is a directory entry (directory.rst). One of inode 0 is free space.
type Dirent struct {
	Inode uint32
	Len   int   // bytes up to the next entry
	Kind  uint8 // file type, 0 where entries have none
	Name  []byte
}

// ParseDirent reads the entry at the start of b, which goes to the end of a
// directory block of blockSize bytes, or of a piece of a directory in an
// inode. filetype says whether entries have a file type (IncompatFiletype). A
// name that is no name is an error, but "." and ".." are the caller's.
func ParseDirent(b []byte, blockSize int, filetype bool) (Dirent, error) {
	le := binary.LittleEndian
	if len(b) < direntSize {
		return Dirent{}, fmt.Errorf("directory entry in %d bytes", len(b))
	}
	d := Dirent{Inode: le.Uint32(b), Len: int(le.Uint16(b[4:]))}
	if blockSize == MaxBlockSize && (d.Len == 0 || d.Len == 0xFFFF) { // fs/ext4/ext4.h, ext4_rec_len_from_disk
		d.Len = blockSize
	}
	n := int(b[6])
	if filetype {
		d.Kind = b[7]
	} else {
		n |= int(b[7]) << 8
	}
	if d.Len%4 != 0 || d.Len < DirentLen(1) || d.Len > len(b) || direntSize+n > d.Len {
		return Dirent{}, fmt.Errorf("directory entry of %d bytes has a name of %d; %d bytes are left", d.Len, n, len(b))
	}
	if d.Inode == 0 {
		return d, nil
	}
	d.Name = b[direntSize : direntSize+n]
	if n == 0 || n > MaxName {
		return Dirent{}, fmt.Errorf("directory entry has a name of %d bytes", n)
	}
	if bytes.ContainsAny(d.Name, "/\x00") {
		return Dirent{}, fmt.Errorf("directory entry has the name %q", d.Name)
	}
	return d, nil
}

// VerifyDirents compares the checksum of a directory block that has entries.
func VerifyDirents(b []byte, inode Seed) error {
	t := b[len(b)-DirTailSize:]
	le := binary.LittleEndian
	if le.Uint32(t) != 0 || le.Uint16(t[4:]) != DirTailSize || t[6] != 0 || t[7] != dirTailType {
		return errors.New("directory block has no checksum")
	}
	return compare(le.Uint32(t[8:]), CRC(uint32(inode), b[:len(b)-DirTailSize]))
}
