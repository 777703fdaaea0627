// Package ext4 makes ext4 file systems in files, without root, mount or mkfs:
// empty ones for disks that are written to, and ones with contents that are
// given as a tree of Nodes.
//
// The geometry is fixed first, so a file's data goes straight to its final
// place as it comes (Writer.Data), also from several goroutines (Writer.Lanes).
// Names are a tree in memory meanwhile and may change until the end;
// Writer.Close then writes directories, inodes and the rest. What is not used
// stays a hole of the file.
//
// Features: extents, flex_bg, hashed directories, 256-byte inodes,
// metadata_csum, sparse_super; 64bit from 16 TiB on; ea_inode where an attribute
// needs it; a journal on demand.
// There is no resize_inode (the kernel grows such a file system online through
// meta_bg) and no orphan_file (all of it is read at each mount).
package ext4

import (
	"crypto/sha256"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/skerry-app/skerry/ext4/format"
)

// Options say what file system to make.
type Options struct {
	// Size in bytes, up to MaxSize; a last part that is too small to be of
	// use is left off. 0 makes the file system compact: just as large as
	// its contents, to be read only.
	Size int64
	// Journal is the size of the journal in bytes, 0 for none.
	Journal int64
	// Label is the name of the volume, up to 16 bytes.
	Label string
	// UUID of the file system, random where zero. With one given, the same
	// contents given in the same order make the same bytes.
	UUID [16]byte
	// HashSeed goes into the hash of directories; by default it is made from
	// the UUID.
	HashSeed [16]byte
	// Time is when the file system is said to have been made.
	Time time.Time
}

// Summary says what was written.
type Summary struct {
	Size   int64  // of the file system in bytes
	Used   int64  // bytes of it that are not free
	Inodes uint32 // in use, without the reserved ones
}

// Writer makes one file system. It is for one goroutine, but for its Lanes.
// After an error it is of no more use.
type Writer struct {
	f       *os.File
	options Options
	seed    format.Seed
	geo     geometry
	alloc   allocator
	placer          // to where alloc says
	lanes   []*Lane // not joined yet
	journal *Blob
	xattrs  xattrStore
	inodes  []inode // the first is the root, the others from format.FirstInode on
}

// NewWriter starts a file system in f, which it empties. It does not sync f.
func NewWriter(f *os.File, o Options) (*Writer, error) {
	w := &Writer{f: f, options: o}
	w.alloc.geo = &w.geo
	w.placer = placer{from: &w.alloc, out: stream{f: f}}
	if err := w.start(); err != nil {
		return nil, fmt.Errorf("make ext4 in %s: %w", f.Name(), err)
	}
	return w, nil
}

// Create makes an empty file system in f, which it empties first: with the
// given root directory, to which lost+found is added.
func Create(f *os.File, o Options, root *Node) (Summary, error) {
	w, err := NewWriter(f, o)
	if err != nil {
		return Summary{}, err
	}
	if root.Entry(lostFound) == nil {
		d := NewDir(0o700)
		d.Mtime = root.Mtime
		root.Set(lostFound, d)
	}
	return w.Close(root)
}

func (w *Writer) start() (err error) {
	o := &w.options
	if len(o.Label) > 16 {
		return fmt.Errorf("label %q is longer than 16 bytes", o.Label)
	}
	if o.UUID == [16]byte{} {
		o.UUID = uuid.New()
	}
	if o.HashSeed == [16]byte{} {
		sum := sha256.Sum256(o.UUID[:])
		copy(o.HashSeed[:], sum[:])
	}
	if o.Time.IsZero() {
		o.Time = time.Unix(0, 0)
	}
	w.seed = format.NewSeed(o.UUID)
	if w.geo, err = newGeometry(o.Size); err != nil {
		return err
	}
	if err := w.f.Truncate(0); err != nil {
		return err
	}
	if !w.geo.compact {
		if err := w.f.Truncate(int64(w.geo.blocks) * format.BlockSize); err != nil {
			return err
		}
	}
	return w.startJournal()
}

// startJournal reserves the journal. Its log is not written: the journal is
// empty, so nobody reads it before it has been written.
func (w *Writer) startJournal() error {
	if w.options.Journal == 0 {
		return nil
	}
	blocks := w.options.Journal / format.BlockSize
	if blocks < format.MinJournal || uint64(blocks) > min(w.geo.blocks/2, format.ExtentsInInode*format.BlocksPerGroup/2) {
		return fmt.Errorf("journal of %d bytes does not fit: it may have from %d bytes to half the file system",
			w.options.Journal, format.MinJournal*format.BlockSize)
	}
	w.journal = &Blob{size: blocks * format.BlockSize}
	for done := uint64(0); done < uint64(blocks); {
		r, err := w.alloc.alloc(min(uint64(blocks)-done, format.MaxExtent))
		if err != nil {
			return err
		}
		w.journal.extents = appendExtent(w.journal.extents, uint32(done), r)
		done += r.n
	}
	first := format.JournalSuper(uint32(blocks), w.options.UUID)
	return w.out.put(w.journal.extents[0].Physical, first)
}

// Close writes the tree below root, which is a directory, and all else, the
// superblock last. It leaves f open and not synced.
func (w *Writer) Close(root *Node) (Summary, error) {
	s, err := w.finish(root)
	if err != nil {
		return Summary{}, fmt.Errorf("make ext4 in %s: %w", w.f.Name(), err)
	}
	return s, nil
}

// trim cuts off what has been given back at the end of a compact file system.
func (w *Writer) trim() error {
	if !w.geo.compact {
		return nil
	}
	w.alloc.trim()
	if err := w.out.flush(); err != nil {
		return err
	}
	return w.f.Truncate(int64(w.alloc.next) * format.BlockSize)
}

func (w *Writer) finish(root *Node) (Summary, error) {
	w.joinLanes()
	if err := w.trim(); err != nil {
		return Summary{}, err
	}
	numbers, err := w.number(root)
	if err != nil {
		return Summary{}, err
	}
	if err := w.build(numbers); err != nil {
		return Summary{}, err
	}
	if err := w.xattrs.write(w); err != nil {
		return Summary{}, err
	}
	if err := w.placeTables(); err != nil {
		return Summary{}, err
	}
	if err := w.writeInodes(); err != nil {
		return Summary{}, err
	}
	if err := w.out.flush(); err != nil {
		return Summary{}, err
	}
	return w.writeGroups()
}
