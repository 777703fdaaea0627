package reader

import (
	"errors"
	"fmt"

	"github.com/skerry-app/skerry/ext4/format"
)

// journal reads the log of a file system that was not unmounted.
type journal struct {
	fs     *FS
	inode  *Inode
	super  *format.Journal
	next   uint32 // block of the log to be read next
	read   int    // blocks of the log that were read or passed over
	blocks map[uint64]logged
}

// transaction is what the log has up to a commit.
type transaction struct {
	writes  map[uint64]logged
	revokes []uint64 // blocks of the image with lists of blocks
	bad     error    // the first checksum that is wrong
}

// recover reads the journal and keeps where it has newer blocks: what jbd2
// would write to the file system (journal.rst; fs/jbd2/recovery.c).
func (f *FS) recover() error {
	s := f.super
	if s.Compat&format.CompatHasJournal == 0 {
		return corrupt("file system has no journal")
	}
	if s.JournalInum == 0 {
		return fmt.Errorf("it is on another device, %x: %w", s.JournalUUID, errors.ErrUnsupported)
	}
	in, err := f.inode(s.JournalInum)
	if err != nil {
		return err
	}
	j := &journal{fs: f, inode: in, blocks: map[uint64]logged{}}
	b, _, err := j.block(0)
	if err != nil {
		return err
	}
	if j.super, err = format.ParseJournal(b); err != nil {
		return corrupt("%w", err)
	}
	if err := j.check(); err != nil {
		return err
	}
	if j.super.Start != 0 {
		if err := j.replay(); err != nil {
			return err
		}
	}
	f.replay = j.blocks
	return nil
}

// check finds what is not supported, and a journal that is not of this file
// system.
func (j *journal) check() error {
	s := j.super
	const known = format.JournalHasRevoke | format.JournalHas64Bit | format.JournalHasAsync |
		format.JournalHasCsumV2 | format.JournalHasCsumV3 | format.JournalHasFast
	if left := s.Incompat &^ known; left != 0 {
		return fmt.Errorf("features %#x of the journal are not supported: %w", left, errors.ErrUnsupported)
	}
	if s.Incompat&format.JournalHasAsync != 0 && !s.Checksums() {
		return fmt.Errorf("feature async_commit without checksums of version 2 or 3 is not supported: %w", errors.ErrUnsupported)
	}
	if int(s.BlockSize) != j.fs.super.blockSize {
		return corrupt("it has blocks of %d bytes, the file system of %d", s.BlockSize, j.fs.super.blockSize)
	}
	if int64(s.Blocks) > j.inode.Size/int64(s.BlockSize) || uint64(s.Blocks) > j.fs.super.blocks {
		return corrupt("it says that it has %d blocks, inode %d has %d bytes", s.Blocks, j.inode.Number, j.inode.Size)
	}
	return nil
}

// block reads a block of the journal and returns its number in the image.
func (j *journal) block(n uint32) (b []byte, number uint64, err error) {
	s, err := j.inode.span(uint64(n))
	if err != nil {
		return nil, 0, err
	}
	if s.physical == 0 {
		return nil, 0, corrupt("inode %d: block %d of the journal is a hole", j.inode.Number, n)
	}
	number = s.physical + uint64(n) - s.logical
	b = make([]byte, j.fs.super.blockSize)
	return b, number, j.fs.readImage(b, number, 0)
}

// take reads the next block of the log.
func (j *journal) take() (b []byte, number uint64, err error) {
	if j.read++; j.read > maxReplay || uint32(j.read) > j.super.Last-j.super.First+1 {
		return nil, 0, corrupt("log has no end within %d blocks", j.read-1)
	}
	n := j.next
	if j.next++; j.next > j.super.Last {
		j.next = j.super.First
	}
	return j.block(n)
}

// replay reads the log up to its end, which is the first block that does not
// belong to the commit that has to come next.
func (j *journal) replay() error {
	j.next = j.super.Start
	sequence, committed := j.super.Sequence, uint64(0)
	var t transaction
	for {
		b, number, err := j.take()
		if err != nil {
			return err
		}
		kind, of, ok := format.JournalHeader(b)
		if !ok || of != sequence {
			return j.end(sequence)
		}
		switch kind {
		case format.JournalDescriptor:
			if err := j.descriptor(&t, b, number, sequence); err != nil {
				return err
			}
		case format.JournalRevoke:
			t.verify("revoke block", number, j.super.VerifyTail(b))
			t.revokes = append(t.revokes, number)
		case format.JournalCommit:
			// A commit that is older than the one before is what an earlier
			// use of the journal has left.
			t.verify("commit", number, j.super.VerifyCommit(b))
			if at := format.CommitTime(b); at >= committed {
				committed = at
			} else if t.bad != nil {
				return j.end(sequence)
			}
			if t.bad != nil {
				return fmt.Errorf("transaction %d: %w", sequence, t.bad)
			}
			if err := j.commit(&t); err != nil {
				return fmt.Errorf("transaction %d: %w", sequence, err)
			}
			t = transaction{}
			sequence++
		default:
			return j.end(sequence)
		}
	}
}

// verify keeps the first error of a transaction's checksums: as long as the
// commit is not there they may be wrong.
func (t *transaction) verify(what string, number uint64, err error) {
	if err != nil && t.bad == nil {
		t.bad = corrupt("%s in block %d: %w", what, number, err)
	}
}

// descriptor takes the blocks that follow a descriptor block.
func (j *journal) descriptor(t *transaction, b []byte, number uint64, sequence uint32) error {
	t.verify("descriptor", number, j.super.VerifyTail(b))
	for _, tag := range j.super.Tags(b) {
		b, number, err := j.take()
		if err != nil {
			return err
		}
		t.verify("contents", number, j.super.VerifyBlock(b, tag, sequence))
		if t.writes == nil {
			t.writes = map[uint64]logged{}
		}
		t.writes[tag.Block] = logged{number, tag.Escaped}
	}
	return nil
}

// commit makes a transaction's writes valid, and its revokes, which are for
// what is in the log so far, this transaction included.
func (j *journal) commit(t *transaction) error {
	for block, at := range t.writes {
		if block >= j.fs.super.blocks {
			return corrupt("block %d is beyond the last of %d", block, j.fs.super.blocks)
		}
		j.blocks[block] = at
	}
	b := make([]byte, j.fs.super.blockSize)
	for _, number := range t.revokes {
		if err := j.fs.readImage(b, number, 0); err != nil {
			return err
		}
		revoked, err := j.super.Revoked(b)
		if err != nil {
			return corrupt("block %d: %w", number, err)
		}
		for _, block := range revoked {
			delete(j.blocks, block)
		}
	}
	return nil
}

// end is called at the end of the log with the commit that would come next.
// Fast commits on top of what the log has are not supported.
func (j *journal) end(sequence uint32) error {
	if j.super.Fast == 0 {
		return nil
	}
	b, number, err := j.block(j.super.Fast)
	if err != nil {
		return err
	}
	if of, ok := format.FastCommit(b); ok && of == sequence {
		return fmt.Errorf("fast commits, as in block %d, are not supported: mount the file system once: %w", number, errors.ErrUnsupported)
	}
	return nil
}
