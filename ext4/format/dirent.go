package format

import "encoding/binary"

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
