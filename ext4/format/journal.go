package format

import "encoding/binary"

// MinJournal is the least number of blocks of a journal (fs/jbd2,
// JBD2_MIN_JOURNAL_BLOCKS).
const MinJournal = 1024

// JournalSuper returns the first block of an empty journal of that many
// blocks (journal.rst, struct journal_superblock_s). The journal is
// big-endian. Nothing is to be replayed, so its other blocks are never read
// before they are written.
func JournalSuper(blocks uint32, uuid [16]byte) []byte {
	const (
		magic        = 0xC03B3998
		superblockV2 = 4
	)
	b := make([]byte, BlockSize)
	be := binary.BigEndian
	be.PutUint32(b[0x00:], magic)
	be.PutUint32(b[0x04:], superblockV2)
	be.PutUint32(b[0x0C:], BlockSize)
	be.PutUint32(b[0x10:], blocks)
	be.PutUint32(b[0x14:], 1) // first block of the log
	be.PutUint32(b[0x18:], 1) // first commit expected
	copy(b[0x30:], uuid[:])
	be.PutUint32(b[0x40:], 1) // users of the journal
	return b
}
