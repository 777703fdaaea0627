package format_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/skerry-app/skerry/ext4/format"
)

// TestParse reads back what is written.
func TestParse(t *testing.T) {
	seed := format.NewSeed([16]byte{1, 2, 3})
	same := func(t *testing.T, want, got any, err error) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-written +read):\n%s", err, diff)
		}
	}
	t.Run("superblock", func(t *testing.T) {
		s := &format.Superblock{
			Magic: format.SuperMagic, ROCompat: format.ROCompatMetadataCsum, ChecksumType: format.ChecksumCRC32C,
			UUID: [16]byte{9}, BlocksCountLo: 1, BlocksCountHi: 2, OrphanFileInum: 12,
		}
		b := s.Encode()
		got, err := format.ParseSuperblock(b)
		s.Checksum = got.Checksum
		same(t, s.Encode(), got.Encode(), err)
		if got.Blocks() != 1 || got.Seed() != format.NewSeed(s.UUID) {
			t.Errorf("%d blocks, seed %#x", got.Blocks(), got.Seed())
		}
		got.Incompat = format.Incompat64Bit | format.IncompatCsumSeed
		got.ChecksumSeed = 7
		if got.Blocks() != 2<<32+1 || got.Seed() != 7 {
			t.Errorf("%d blocks, seed %#x", got.Blocks(), got.Seed())
		}
		b[100]++
		if _, err := format.ParseSuperblock(b); err == nil {
			t.Error("superblock with another byte has the same checksum")
		}
	})
	t.Run("group", func(t *testing.T) {
		g := format.Group{
			BlockBitmap: 1<<40 + 1, InodeBitmap: 2<<40 + 2, InodeTable: 3<<40 + 3, FreeBlocks: 1<<20 + 4, FreeInodes: 1<<20 + 5,
			UsedDirs: 1<<20 + 6, Flags: 7, BlockCsum: 1<<20 + 8, InodeCsum: 1<<20 + 9, UnusedInodes: 1<<20 + 10,
		}
		b := make([]byte, format.DescSize64)
		g.Put(b, seed, 5)
		same(t, g, format.ParseGroup(b), format.VerifyGroup(b, seed, 5))
		if format.VerifyGroup(b, seed, 6) == nil {
			t.Error("another group has the same checksum")
		}
	})
	t.Run("inode", func(t *testing.T) {
		i := format.Inode{
			Mode: format.TypeFile | 0o644, UID: 1<<31 + 1, GID: 1<<30 + 2, Size: 1<<40 + 3,
			Atime: time.Unix(-1, 1), Ctime: time.Unix(1<<31, 2), Mtime: time.Unix(3<<32+1<<31-1, 999999999), Crtime: time.Unix(-1<<31, 0),
			Links: 4, Sectors: 1<<33 + 5, Flags: format.InodeExtents, Block: [format.InodeBlockSize]byte{6}, XattrBlock: 1<<40 + 7,
			Xattrs: [format.InodeXattrSize]byte{8},
		}
		b := make([]byte, format.InodeSize)
		i.Put(b, seed.Inode(9))
		got, xattrs, err := format.ParseInode(b)
		copy(got.Xattrs[:], xattrs)
		same(t, i, got, err)
		if err := format.VerifyInode(b, seed.Inode(9)); err != nil {
			t.Error(err)
		}
		b[50]++
		if format.VerifyInode(b, seed.Inode(9)) == nil {
			t.Error("inode with another byte has the same checksum")
		}
	})
	t.Run("device", func(t *testing.T) {
		for _, want := range [][2]uint32{{0, 0}, {1, 3}, {255, 255}, {256, 0}, {0, 256}, {format.MaxMajor, format.MaxMinor}, {259, 70000}} {
			var block [format.InodeBlockSize]byte
			format.PutDevice(&block, want[0], want[1])
			major, minor := format.Device(&block)
			same(t, want, [2]uint32{major, minor}, nil)
		}
	})
	t.Run("access control list", func(t *testing.T) {
		value := []byte("\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x07\x00\xe8\x03\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff")
		disk, err := format.ACL(value)
		if err != nil {
			t.Fatal(err)
		}
		got, err := format.XattrACL(disk)
		same(t, value, got, err)
		for n := range disk {
			if _, err := format.XattrACL(disk[:n]); err == nil && n != 4 && n != 8 && n != 16 { // ends of entries
				t.Errorf("%d bytes of the list are one too", n)
			}
		}
	})
	t.Run("extended attributes", func(t *testing.T) {
		xs := []format.Xattr{{Index: 1, Name: "a", Value: []byte("value")}, {Index: 6, Name: "longer", Value: bytes.Repeat([]byte("v"), 30)}, {Index: 7, Name: "e"}}
		var want []format.XattrEntry
		for _, x := range xs {
			want = append(want, format.XattrEntry{Xattr: x, Size: uint32(len(x.Value))})
		}
		var in [format.InodeXattrSize]byte
		xs[1].Value = xs[1].Value[:10]
		want[1].Value, want[1].Size = xs[1].Value, 10
		format.PutInodeXattrs(&in, xs, 0)
		got, err := format.ParseInodeXattrs(in[:])
		same(t, want, got, err)
		b := make([]byte, format.BlockSize)
		format.PutXattrBlock(b, xs, 0)
		format.FinishXattrBlock(b, 1, 77, seed)
		got, err = format.ParseXattrBlock(b)
		same(t, want, got, err)
		same(t, nil, nil, format.VerifyXattrBlock(b, 77, seed))
	})
}
