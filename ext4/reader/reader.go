// Package reader reads ext4 file systems, and ext2 and ext3 ones, from an
// image: those of package ext4 and those of mke2fs and the kernel. It never
// writes. What a journal has to be replayed is laid over the image in memory.
// What is refused, by name, are journals on other devices and with fast
// commits, when they have to be replayed, and the features compression,
// dirdata, encrypt and casefold.
//
// An image may be hostile. Whatever is in it, there is an error or there is
// something to read: no panic, no endless loop, and memory within the limits
// that are constants here. Damage that the format can show, by its checksums
// or by what is impossible, is an error with ErrCorrupt in its chain that
// names the inode and the block.
//
// Inodes that were deleted while they were open, or that were about to be
// truncated (s_last_orphan, the orphan file), need nothing to be done: the
// former have no name to reach them by, and the size of the latter is right
// already.
//
// The format is that of the Linux kernel's Documentation/filesystems/ext4, and
// where that is silent, of fs/ext4 and fs/jbd2 of Linux 6.12. Package
// ext4/format has its structures.
package reader

import (
	"errors"
	"fmt"
	"io"

	"github.com/skerry-app/skerry/ext4/format"
)

// ErrCorrupt is in the chain of errors that say that an image is damaged.
// Errors that say that an image has a feature that is not read here have
// errors.ErrUnsupported there.
var ErrCorrupt = errors.New("file system is damaged")

// corrupt makes an error of a format string that has ErrCorrupt in its chain.
func corrupt(f string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrCorrupt, fmt.Errorf(f, args...))
}

// Limits of what an image can make a reader do, on top of those of the format
// and of the image's own size.
const (
	// maxDirectory is the size of a directory in bytes, some ten million
	// names. All are in memory when it is listed.
	maxDirectory = 512 << 20
	// maxLinks is how many symbolic links a path can go through (linux/namei.h,
	// MAXSYMLINKS).
	maxLinks = 40
	// maxPath is the length of a path in bytes (linux/limits.h, PATH_MAX).
	maxPath = 4096
	// maxXattr is the size of an extended attribute's value in bytes
	// (linux/limits.h, XATTR_SIZE_MAX), and maxXattrs that of all names and
	// values of an inode.
	maxXattr  = 64 << 10
	maxXattrs = 512 << 10
	// maxReplay is how many blocks of a journal are replayed, each of which
	// takes some 50 bytes of memory. mke2fs makes no journal of more than
	// 262,144 blocks unless it is told to.
	maxReplay = 1 << 20
	// maxSegments is how many pieces of data between holes a file can have to
	// become a sparse file in an archive; archive/tar reads no more.
	maxSegments = 1 << 20
	// maxShares is how many files may have the same block in common, on average,
	// where the file system says that they do (shared_blocks of Android).
	maxShares = 64
	// cachedBlocks is how many blocks of metadata are kept.
	cachedBlocks = 64
)

// FS is a file system. Its methods can be called at the same time, as far as
// those of the image's io.ReaderAt can.
//
// Names in it are bytes: paths are as fs.FS has them, separated by slashes,
// without a leading one and without the elements "." and "..", but need not be
// UTF-8.
type FS struct {
	image  io.ReaderAt
	super  *geometry
	replay map[uint64]logged // blocks that a journal has newer; nil for none
	cache  cache
	root   *Inode
}

// New reads the superblock of an image of size bytes, replays its journal if
// it was not unmounted, and reads the root directory.
func New(image io.ReaderAt, size int64) (*FS, error) {
	f := &FS{image: image}
	if err := f.readSuper(size); err != nil {
		return nil, fmt.Errorf("open ext4: %w", err)
	}
	if f.super.Incompat&format.IncompatRecover != 0 {
		if err := f.recover(); err != nil {
			return nil, fmt.Errorf("open ext4: replay journal: %w", err)
		}
		// The journal may have a newer superblock, and has newer blocks than
		// those that were read to find it.
		before := f.super
		if err := f.readSuper(size); err != nil {
			return nil, fmt.Errorf("open ext4 after the journal's replay: %w", err)
		}
		if f.super.blockSize != before.blockSize {
			return nil, fmt.Errorf("open ext4: %w", corrupt("journal changes the size of blocks from %d to %d bytes", before.blockSize, f.super.blockSize))
		}
		f.cache = cache{}
	}
	root, err := f.inode(format.RootInode)
	if err != nil {
		return nil, fmt.Errorf("open ext4: root directory: %w", err)
	}
	if !root.isDir() {
		return nil, fmt.Errorf("open ext4: %w", corrupt("root is no directory but has mode %#o", root.Mode))
	}
	root.parent = root.Number
	if err := root.checkParent(); err != nil {
		return nil, fmt.Errorf("open ext4: root directory: %w", err)
	}
	f.root = root
	return f, nil
}
