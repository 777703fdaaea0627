package reader

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"github.com/skerry-app/skerry/ext4/format"
)

// Inode is what a name stands for. The Sys of the fs.FileInfos of an FS is one.
type Inode struct {
	Number   uint32
	Mode     uint16 // type and permissions as in st_mode of stat(2)
	UID, GID uint32
	Size     int64  // bytes
	Links    uint16 // names; 1 for a directory with more than 64998 others in it
	Atime    time.Time
	Mtime    time.Time
	Ctime    time.Time
	Crtime   time.Time // zero when the file system has no room for it
	Major    uint32    // of a device
	Minor    uint32

	fs         *FS
	parent     uint32 // inode of the directory that a directory is in
	flags      uint32
	block      [format.InodeBlockSize]byte
	xattrs     []byte // those in the inode
	xattrBlock uint64
	seed       format.Seed
}

// inode reads an inode that is in use.
func (f *FS) inode(number uint32) (*Inode, error) {
	b, err := f.inodeBytes(number)
	if err != nil {
		return nil, err
	}
	seed := f.super.seed.Generation(number, format.InodeGeneration(b))
	if f.super.checksums {
		if err := format.VerifyInode(b, seed); err != nil {
			return nil, corrupt("inode %d: %w", number, err)
		}
	}
	d, xattrs, err := format.ParseInode(b)
	if err != nil {
		return nil, corrupt("inode %d: %w", number, err)
	}
	if d.Links == 0 {
		return nil, corrupt("inode %d has a name but is not in use", number)
	}
	in := &Inode{
		Number: number, Mode: d.Mode, UID: d.UID, GID: d.GID, Size: int64(d.Size), Links: d.Links,
		Atime: d.Atime, Mtime: d.Mtime, Ctime: d.Ctime, Crtime: d.Crtime,
		fs: f, flags: d.Flags, block: d.Block, xattrs: xattrs, xattrBlock: d.XattrBlock, seed: seed,
	}
	return in, in.check()
}

// inodeBytes returns an inode as it is stored.
func (f *FS) inodeBytes(number uint32) ([]byte, error) {
	s := f.super
	if number == 0 || number > s.InodesCount {
		return nil, corrupt("inode %d does not exist: there are %d", number, s.InodesCount)
	}
	group, index := (number-1)/s.InodesPerGroup, uint64((number-1)%s.InodesPerGroup)
	g, err := f.group(group)
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", number, err)
	}
	perBlock := uint64(s.blockSize / s.inodeSize)
	if g.InodeTable == 0 || g.InodeTable >= s.blocks {
		return nil, corrupt("inode %d: group %d has its inodes in block %d of %d", number, group, g.InodeTable, s.blocks)
	}
	block, err := f.block(g.InodeTable + index/perBlock)
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", number, err)
	}
	return block[int(index%perBlock)*s.inodeSize:][:s.inodeSize], nil
}

// check finds what no inode can be, and what of it is not read here.
func (in *Inode) check() error {
	s := in.fs.super
	switch in.Mode & format.TypeMask {
	case format.TypeChar, format.TypeBlock:
		in.Major, in.Minor = format.Device(&in.block)
	case format.TypeFile, format.TypeFIFO, format.TypeSocket:
	case format.TypeLink:
		if in.Size <= 0 || in.Size > min(format.MaxSymlink, int64(s.blockSize)) {
			return corrupt("inode %d: symbolic link has a target of %d bytes", in.Number, in.Size)
		}
	case format.TypeDir:
		if s.Incompat&format.IncompatLargedir == 0 {
			in.Size &= math.MaxUint32 // the rest was something else once (inodes.rst, i_dir_acl)
		}
		if in.Size > maxDirectory || uint64(in.Size) > s.blocks*uint64(s.blockSize) {
			return corrupt("inode %d: directory has %d bytes", in.Number, in.Size)
		}
	default:
		return corrupt("inode %d: mode %#o has no type of file", in.Number, in.Mode)
	}
	if in.Size < 0 || uint64(in.Size) > uint64(math.MaxUint32)*uint64(s.blockSize) {
		return corrupt("inode %d: file has %d bytes", in.Number, uint64(in.Size))
	}
	return nil
}

func (in *Inode) isDir() bool { return in.Mode&format.TypeMask == format.TypeDir }

func (in *Inode) isLink() bool { return in.Mode&format.TypeMask == format.TypeLink }

// target returns what a symbolic link says (ifork.rst, "Symbolic Links").
func (in *Inode) target() (string, error) {
	b := in.block[:min(in.Size, format.InodeBlockSize)]
	if in.Size >= format.InodeBlockSize || in.flags&format.InodeInlineData != 0 {
		b = make([]byte, in.Size)
		c, err := in.contents()
		if err != nil {
			return "", err
		}
		if _, err := c.ReadAt(b, 0); err != nil {
			return "", err
		}
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return "", corrupt("inode %d: target of symbolic link ends before its %d bytes", in.Number, in.Size)
	}
	return string(b), nil
}
