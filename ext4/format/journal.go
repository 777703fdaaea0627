package format

import (
	"encoding/binary"
	"fmt"
)

// MinJournal is the least number of blocks of a journal (fs/jbd2,
// JBD2_MIN_JOURNAL_BLOCKS).
const MinJournal = 1024

// Blocks of a journal (journal.rst, "Block Header").
const (
	JournalMagic      = 0xC03B3998
	JournalDescriptor = 1
	JournalCommit     = 2
	journalSuperV1    = 3
	journalSuperV2    = 4
	JournalRevoke     = 5
)

// Features of a journal (journal.rst, s_feature_incompat).
const (
	JournalHasRevoke  = 0x1
	JournalHas64Bit   = 0x2
	JournalHasAsync   = 0x4 // a commit may be there before what it commits
	JournalHasCsumV2  = 0x8
	JournalHasCsumV3  = 0x10
	JournalHasFast    = 0x20 // the end of the log has fast commits
	journalFastBlocks = 256  // by default (linux/jbd2.h, JBD2_DEFAULT_FAST_COMMIT_BLOCKS)
)

// JournalSuper returns the first block of an empty journal of that many
// blocks (journal.rst, struct journal_superblock_s). The journal is
// big-endian. Nothing is to be replayed, so its other blocks are never read
// before they are written.
func JournalSuper(blocks uint32, uuid [16]byte) []byte {
	b := make([]byte, BlockSize)
	be := binary.BigEndian
	be.PutUint32(b[0x00:], JournalMagic)
	be.PutUint32(b[0x04:], journalSuperV2)
	be.PutUint32(b[0x0C:], BlockSize)
	be.PutUint32(b[0x10:], blocks)
	be.PutUint32(b[0x14:], 1) // first block of the log
	be.PutUint32(b[0x18:], 1) // first commit expected
	copy(b[0x30:], uuid[:])
	be.PutUint32(b[0x40:], 1) // users of the journal
	return b
}

// Journal is a journal's superblock.
type Journal struct {
	BlockSize uint32 // bytes
	Blocks    uint32 // of the journal
	First     uint32 // block of the log
	Last      uint32 // block of the log
	Fast      uint32 // first block of fast commits, 0 for none
	Sequence  uint32 // first commit expected
	Start     uint32 // block of that commit, 0 when nothing is to be replayed
	Incompat  uint32
	seed      uint32
}

// ParseJournal reads the first block of a journal.
func ParseJournal(b []byte) (*Journal, error) {
	const (
		csumAt = 0xFC
		length = 0x400
	)
	be := binary.BigEndian
	magic, kind := be.Uint32(b), be.Uint32(b[0x04:])
	if magic != JournalMagic || kind != journalSuperV1 && kind != journalSuperV2 {
		return nil, fmt.Errorf("superblock has the magic number %#x, not %#x, and type %d", magic, uint32(JournalMagic), kind)
	}
	j := &Journal{
		BlockSize: be.Uint32(b[0x0C:]), Blocks: be.Uint32(b[0x10:]), First: be.Uint32(b[0x14:]),
		Sequence: be.Uint32(b[0x18:]), Start: be.Uint32(b[0x1C:]),
	}
	j.Last = j.Blocks - 1
	if kind == journalSuperV2 {
		j.Incompat = be.Uint32(b[0x28:])
		j.seed = CRC(^uint32(0), b[0x30:0x40])
	}
	if j.Checksums() {
		if err := compare(be.Uint32(b[csumAt:]), crcWithout(^uint32(0), b[:length], csumAt, 4)); err != nil {
			return nil, fmt.Errorf("superblock: %w", err)
		}
	}
	if j.Incompat&JournalHasFast != 0 {
		n := be.Uint32(b[0x54:])
		if n == 0 {
			n = journalFastBlocks
		}
		if n < 2 || n >= j.Blocks {
			return nil, fmt.Errorf("%d blocks are for fast commits, of %d", n, j.Blocks)
		}
		j.Last -= n
		j.Fast = j.Last + 2 // a block is left out (fs/jbd2/journal.c, j_fc_first)
	}
	if j.First == 0 || j.First > j.Last || j.Last >= j.Blocks || j.Start != 0 && (j.Start < j.First || j.Start > j.Last) {
		return nil, fmt.Errorf("log is in the blocks %d to %d of %d and starts at %d", j.First, j.Last, j.Blocks, j.Start)
	}
	return j, nil
}

// Checksums says whether the journal has checksums of version 2 or 3.
func (j *Journal) Checksums() bool { return j.Incompat&(JournalHasCsumV2|JournalHasCsumV3) != 0 }

// JournalHeader returns the type and the commit of a block of a log; ok is
// false when it is none.
func JournalHeader(b []byte) (kind, sequence uint32, ok bool) {
	be := binary.BigEndian
	return be.Uint32(b[0x04:]), be.Uint32(b[0x08:]), be.Uint32(b) == JournalMagic
}

// JournalTag says where a block that follows a descriptor belongs
// (journal.rst, "Descriptor Block").
type JournalTag struct {
	Block   uint64
	Escaped bool // its first four bytes, zero in the log, are JournalMagic
	sum     uint32
}

const journalHeaderSize = 12

// Tags returns the tags of a descriptor block, one for each block that follows
// it in the log.
func (j *Journal) Tags(b []byte) []JournalTag {
	const (
		escaped  = 1
		sameUUID = 2
		last     = 8
	)
	be := binary.BigEndian
	end := len(b)
	if j.Checksums() {
		end -= 4
	}
	size := 8
	if j.Incompat&JournalHasCsumV3 != 0 {
		size = 16
	} else {
		if j.Incompat&JournalHas64Bit != 0 {
			size += 4
		}
		if j.Incompat&JournalHasCsumV2 != 0 {
			size += 2 // what is behind the checksum in the tag is not used
		}
	}
	var tags []JournalTag
	for at := journalHeaderSize; at+size <= end; {
		p := b[at : at+size]
		t := JournalTag{Block: uint64(be.Uint32(p))}
		var flags uint32
		if j.Incompat&JournalHasCsumV3 != 0 {
			flags, t.sum = be.Uint32(p[4:]), be.Uint32(p[12:])
		} else {
			flags, t.sum = uint32(be.Uint16(p[6:])), uint32(be.Uint16(p[4:]))
		}
		if j.Incompat&JournalHas64Bit != 0 {
			t.Block |= uint64(be.Uint32(p[8:])) << 32
		}
		t.Escaped = flags&escaped != 0
		tags = append(tags, t)
		at += size
		if flags&sameUUID == 0 {
			at += 16
		}
		if flags&last != 0 {
			break
		}
	}
	return tags
}

// Revoked returns the blocks of a revoke block (journal.rst, "Revocation
// Block"): what the log has of them up to its commit is not to be replayed.
func (j *Journal) Revoked(b []byte) ([]uint64, error) {
	be := binary.BigEndian
	end, used := len(b), int64(be.Uint32(b[journalHeaderSize:]))
	if j.Checksums() {
		end -= 4
	}
	if used > int64(end) {
		return nil, fmt.Errorf("revoke block has %d bytes in use of %d", used, end)
	}
	size := 4
	if j.Incompat&JournalHas64Bit != 0 {
		size = 8
	}
	var all []uint64
	for at := journalHeaderSize + 4; at+size <= int(used); at += size {
		if size == 8 {
			all = append(all, be.Uint64(b[at:]))
		} else {
			all = append(all, uint64(be.Uint32(b[at:])))
		}
	}
	return all, nil
}

// VerifyTail compares the checksum at the end of a descriptor or revoke block.
func (j *Journal) VerifyTail(b []byte) error {
	if !j.Checksums() {
		return nil
	}
	at := len(b) - 4
	return compare(binary.BigEndian.Uint32(b[at:]), crcWithout(j.seed, b, at, 4))
}

// VerifyCommit compares the checksum of a commit block.
func (j *Journal) VerifyCommit(b []byte) error {
	const at = 0x10 // h_chksum
	if !j.Checksums() {
		return nil
	}
	return compare(binary.BigEndian.Uint32(b[at:]), crcWithout(j.seed, b, at, 4))
}

// CommitTime returns the time in a commit block, in seconds since 1970.
func CommitTime(b []byte) uint64 { return binary.BigEndian.Uint64(b[0x30:]) }

// VerifyBlock compares the checksum of a block of the log, as it is there,
// that belongs to a tag and a commit.
func (j *Journal) VerifyBlock(b []byte, t JournalTag, sequence uint32) error {
	if !j.Checksums() {
		return nil
	}
	var s [4]byte
	binary.BigEndian.PutUint32(s[:], sequence)
	sum := CRC(CRC(j.seed, s[:]), b)
	if j.Incompat&JournalHasCsumV3 == 0 {
		sum &= 0xFFFF
	}
	return compare(t.sum, sum)
}

// FastCommit returns the commit that the first block of a fast commit area is
// on top of; ok is false when there is none (fs/ext4/fast_commit.h).
func FastCommit(b []byte) (sequence uint32, ok bool) {
	const head = 9 // EXT4_FC_TAG_HEAD
	le := binary.LittleEndian
	return le.Uint32(b[8:]), le.Uint16(b) == head
}
