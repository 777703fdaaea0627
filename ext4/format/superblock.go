package format

import (
	"encoding/binary"
	"fmt"
)

const (
	// SuperOffset is where the superblock is, in bytes from the start of the
	// file system; in block 0 the 1024 bytes before it are for boot loaders.
	SuperOffset = 1024
	SuperSize   = 1024
	SuperMagic  = 0xEF53
)

// Features that a kernel may ignore (super.rst, s_feature_compat).
const (
	CompatHasJournal   = 0x4
	CompatExtAttr      = 0x8
	CompatDirIndex     = 0x20
	CompatSparseSuper2 = 0x200
)

// Features without which a kernel must not mount (s_feature_incompat).
const (
	IncompatCompression = 0x1
	IncompatFiletype    = 0x2
	IncompatRecover     = 0x4 // the journal is to be replayed
	IncompatJournalDev  = 0x8 // this is a journal and no file system
	IncompatMetaBG      = 0x10
	IncompatExtents     = 0x40
	Incompat64Bit       = 0x80
	IncompatMMP         = 0x100
	IncompatFlexBG      = 0x200
	IncompatEAInode     = 0x400
	IncompatDirdata     = 0x1000
	IncompatCsumSeed    = 0x2000
	IncompatLargedir    = 0x4000
	IncompatInlineData  = 0x8000
	IncompatEncrypt     = 0x10000
	IncompatCasefold    = 0x20000
)

// Features without which a kernel must not write (s_feature_ro_compat).
const (
	ROCompatSparseSuper  = 0x1
	ROCompatLargeFile    = 0x2
	ROCompatHugeFile     = 0x8
	ROCompatDirNlink     = 0x20
	ROCompatExtraIsize   = 0x40
	ROCompatMetadataCsum = 0x400
	ROCompatSharedBlocks = 0x4000 // files may have blocks in common
)

// Values of superblock fields.
const (
	StateClean       = 1 // s_state: unmounted cleanly
	ErrorsContinue   = 1 // s_errors
	RevDynamic       = 1 // s_rev_level
	ChecksumCRC32C   = 1 // s_checksum_type
	FlagUnsignedHash = 2 // s_flags: the directory hash takes names as unsigned bytes
	JournalBackup    = 1 // s_jnl_backup_type: s_jnl_blocks holds the journal's inode
	MaxMountCountOff = 0xFFFF
	MountXattrUser   = 0x4 // s_default_mount_opts
	MountACL         = 0x8
)

// Superblock is the whole superblock (super.rst). Reserved and unused fields
// are named so that the offsets can be counted.
type Superblock struct {
	InodesCount     uint32
	BlocksCountLo   uint32
	RBlocksCountLo  uint32 // blocks only root may take
	FreeBlocksLo    uint32
	FreeInodes      uint32
	FirstDataBlock  uint32
	LogBlockSize    uint32 // block size is 1024 << this
	LogClusterSize  uint32
	BlocksPerGroup  uint32
	ClustersPerGrp  uint32
	InodesPerGroup  uint32
	Mtime           uint32 // last mount, seconds since 1970
	Wtime           uint32 // last write
	MountCount      uint16
	MaxMountCount   uint16
	Magic           uint16
	State           uint16
	Errors          uint16
	MinorRev        uint16
	LastCheck       uint32
	CheckInterval   uint32 // seconds, 0 for never
	CreatorOS       uint32
	RevLevel        uint32
	DefResUID       uint16
	DefResGID       uint16
	FirstInode      uint32
	InodeSize       uint16
	BlockGroup      uint16 // the group that this copy is in
	Compat          uint32
	Incompat        uint32
	ROCompat        uint32
	UUID            [16]byte
	VolumeName      [16]byte
	LastMounted     [64]byte
	AlgoBitmap      uint32
	PreallocBlocks  uint8
	PreallocDir     uint8
	ReservedGDT     uint16 // blocks kept for the table of descriptors to grow
	JournalUUID     [16]byte
	JournalInum     uint32
	JournalDev      uint32
	LastOrphan      uint32
	HashSeed        [16]byte
	DefHashVersion  uint8
	JournalBackup   uint8
	DescSize        uint16 // bytes of a group descriptor, 0 for 32
	DefMountOpts    uint32
	FirstMetaBG     uint32
	MkfsTime        uint32
	JournalBlocks   [17]uint32 // i_block of the journal's inode, then its size: high, low
	BlocksCountHi   uint32
	RBlocksCountHi  uint32
	FreeBlocksHi    uint32
	MinExtraIsize   uint16
	WantExtraIsize  uint16
	Flags           uint32
	RaidStride      uint16
	MMPInterval     uint16
	MMPBlock        uint64
	RaidStripeWidth uint32
	LogGroupsFlex   uint8 // 1 << this groups make a flex_bg group
	ChecksumType    uint8
	EncryptLevel    uint8
	_               uint8
	KbytesWritten   uint64
	SnapshotInum    uint32
	SnapshotID      uint32
	SnapshotRBlocks uint64
	SnapshotList    uint32
	ErrorState      [108]byte // s_error_count up to s_last_error_func
	MountOpts       [64]byte
	UsrQuotaInum    uint32
	GrpQuotaInum    uint32
	OverheadBlocks  uint32
	BackupBGs       [2]uint32
	EncryptAlgos    [4]uint8
	EncryptSalt     [16]byte
	LpfInode        uint32 // lost+found
	PrjQuotaInum    uint32
	ChecksumSeed    uint32
	TimesHi         [6]uint8 // s_wtime_hi up to s_last_error_time_hi
	_               [2]uint8
	Encoding        uint16
	EncodingFlags   uint16
	OrphanFileInum  uint32
	_               [94]uint32
	Checksum        uint32 // CRC32C of everything before
}

// Encode returns the superblock with its checksum, SuperSize bytes.
func (s *Superblock) Encode() []byte {
	b, err := binary.Append(make([]byte, 0, SuperSize), binary.LittleEndian, s)
	if err != nil || len(b) != SuperSize {
		panic(fmt.Sprintf("ext4 superblock encodes to %d bytes: %v", len(b), err)) // the type above is wrong
	}
	binary.LittleEndian.PutUint32(b[SuperSize-4:], CRC(^uint32(0), b[:SuperSize-4]))
	return b
}

// ParseSuperblock reads a superblock of SuperSize bytes. Its checksum is
// verified when it says that it has one.
func ParseSuperblock(b []byte) (*Superblock, error) {
	s := &Superblock{}
	if _, err := binary.Decode(b, binary.LittleEndian, s); err != nil {
		return nil, fmt.Errorf("superblock of %d bytes: %w", len(b), err)
	}
	if s.Magic != SuperMagic {
		return nil, fmt.Errorf("superblock has the magic number %#x, ext4 has %#x", s.Magic, SuperMagic)
	}
	if s.ROCompat&ROCompatMetadataCsum != 0 {
		if s.ChecksumType != ChecksumCRC32C {
			return nil, fmt.Errorf("superblock has checksums of type %d, only %d, CRC32C, exists", s.ChecksumType, ChecksumCRC32C)
		}
		if err := compare(s.Checksum, CRC(^uint32(0), b[:SuperSize-4])); err != nil {
			return nil, fmt.Errorf("superblock: %w", err)
		}
	}
	return s, nil
}

// Blocks returns the number of blocks of the file system.
func (s *Superblock) Blocks() uint64 {
	n := uint64(s.BlocksCountLo)
	if s.Incompat&Incompat64Bit != 0 {
		n |= uint64(s.BlocksCountHi) << 32
	}
	return n
}

// Seed starts the checksums of the file system's metadata.
func (s *Superblock) Seed() Seed {
	if s.Incompat&IncompatCsumSeed != 0 {
		return Seed(s.ChecksumSeed)
	}
	return NewSeed(s.UUID)
}
