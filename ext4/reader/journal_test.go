package reader

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skerry-app/skerry/ext4/ext4test"
	"github.com/skerry-app/skerry/ext4/format"
)

// logBlocks returns where blocks of a kind are in the log of an image with
// blocks of 1 KiB, by their commit.
func logBlocks(b []byte, kind uint32) map[uint32][]int {
	all := map[uint32][]int{}
	for at := 0; at < len(b); at += 1024 {
		if k, sequence, ok := format.JournalHeader(b[at:]); ok && k == kind {
			all[sequence] = append(all[sequence], at)
		}
	}
	return all
}

func last(all map[uint32][]int) (sequence uint32) {
	for s := range all {
		sequence = max(sequence, s)
	}
	return sequence
}

// TestLog damages the log of a file system that was copied while the kernel
// had it mounted: it made a directory "d" with files, and after a sync deleted
// it, and after another one made a file "new".
func TestLog(t *testing.T) {
	z, err := os.Open("testdata/replay.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	r, err := gzip.NewReader(z)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	commits, descriptors := logBlocks(whole, format.JournalCommit), logBlocks(whole, format.JournalDescriptor)
	end := last(commits)
	for name, c := range map[string]struct {
		damage func(b []byte)
		want   string // of an error; the file "new" otherwise
		before bool   // as before the last transaction
	}{
		"whole":         {damage: func([]byte) {}},
		"no commit":     {damage: func(b []byte) { clear(b[commits[end][0]:][:1024]) }, before: true},
		"bad commit":    {damage: func(b []byte) { b[commits[end][0]+100]++ }, want: "commit in block"},
		"bad tags":      {damage: func(b []byte) { b[descriptors[end][0]+1000]++ }, want: "descriptor in block"},
		"bad block":     {damage: func(b []byte) { b[descriptors[end][0]+1024+500]++ }, want: "contents in block"},
		"unknown block": {damage: func(b []byte) { binary.BigEndian.PutUint32(b[descriptors[end][0]+4:], 9) }, before: true},
		"older commit": {damage: func(b []byte) {
			b[commits[end][0]+0x30+3] = 0
			b[commits[end][0]+0x30+4] = 0
		}, before: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(whole)
			c.damage(b)
			f, err := New(bytes.NewReader(b), int64(len(b)))
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, ErrCorrupt) {
					t.Errorf("error %v, want one with %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Stat("d"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("deleted directory: %v", err)
			}
			got, err := fs.ReadFile(f, "new")
			if c.before && !errors.Is(err, fs.ErrNotExist) || !c.before && string(got) != "new\n" {
				t.Errorf("file of the last transaction has %q: %v", got, err)
			}
		})
	}
}

// TestRevoke replays a log by hand: what is revoked is not replayed, unless it
// is written again later.
func TestRevoke(t *testing.T) {
	const blockSize, blocks, first = 1024, 64, 32 // blocks of the image; where its journal is
	b := make([]byte, blocks*blockSize)
	be := binary.BigEndian
	log := func(n int, kind, sequence uint32) []byte {
		p := b[(first+n)*blockSize:][:blockSize]
		be.PutUint32(p, format.JournalMagic)
		be.PutUint32(p[4:], kind)
		be.PutUint32(p[8:], sequence)
		return p[12:]
	}
	write := func(n int, sequence uint32, targets ...uint32) {
		p := log(n, format.JournalDescriptor, sequence)
		for i, target := range targets {
			be.PutUint32(p[8*i:], target)
			flags := uint16(2) // same UUID
			if i == len(targets)-1 {
				flags |= 8 // last
			}
			be.PutUint16(p[8*i+6:], flags)
		}
	}
	revoke := func(n int, sequence uint32, targets ...uint32) {
		p := log(n, format.JournalRevoke, sequence)
		be.PutUint32(p, uint32(16+4*len(targets)))
		for i, target := range targets {
			be.PutUint32(p[4+4*i:], target)
		}
	}
	write(1, 7, 10, 11, 12) // blocks 2, 3 and 4 of the journal
	log(5, format.JournalCommit, 7)
	revoke(6, 8, 10, 11)
	write(7, 8, 13) // block 8
	log(9, format.JournalCommit, 8)
	write(10, 9, 11, 14) // blocks 11 and 12
	revoke(13, 9, 14)
	log(14, format.JournalCommit, 9)
	write(15, 10, 12) // without a commit

	f := &FS{image: bytes.NewReader(b), super: &geometry{blockSize: blockSize, blocks: blocks}}
	in := &Inode{Number: format.JournalInode, fs: f, flags: format.InodeExtents}
	format.PutExtents(in.block[:], 0, []format.Extent{{Len: 20, Physical: first}})
	j := &journal{fs: f, inode: in, blocks: map[uint64]logged{}, super: &format.Journal{
		BlockSize: blockSize, Blocks: 20, First: 1, Last: 19, Sequence: 7, Start: 1, Incompat: format.JournalHasRevoke,
	}}
	if err := j.replay(); err != nil {
		t.Fatal(err)
	}
	want := map[uint64]uint64{11: first + 11, 12: first + 4, 13: first + 8}
	for block, at := range j.blocks {
		if want[block] != at.at {
			t.Errorf("block %d is replayed from %d, want %d", block, at.at, want[block])
		}
		delete(want, block)
	}
	if len(want) > 0 {
		t.Errorf("blocks are not replayed: %v", want)
	}
}

// TestJournalVersions compares with e2fsck how logs of all versions are
// replayed, which debugfs has written.
func TestJournalVersions(t *testing.T) {
	const blockSize, first = 1024, 3000
	magic := []byte{0xC0, 0x3B, 0x39, 0x98}
	contents := filepath.Join(t.TempDir(), "contents")
	p := slices.Concat(magic, bytes.Repeat([]byte("a"), blockSize-4), bytes.Repeat(magic, blockSize/4), bytes.Repeat([]byte("c"), blockSize))
	if err := os.WriteFile(contents, p, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ features, open string }{
		"32 bit":    {"^64bit,^metadata_csum", "jo"},
		"64 bit":    {"64bit,^metadata_csum", "jo"},
		"32 bit v2": {"^64bit", "jo -c -v 2"},
		"64 bit v2": {"64bit", "jo -c -v 2"},
		"32 bit v3": {"^64bit", "jo -c -v 3"},
		"64 bit v3": {"64bit", "jo -c -v 3"},
	} {
		t.Run(name, func(t *testing.T) {
			image := filepath.Join(t.TempDir(), "image")
			ext4test.Mke2fs(t, "-F", "-t", "ext4", "-b", fmt.Sprint(blockSize), "-N", "64", "-J", "size=1", "-O", c.features, image, "4m")
			ext4test.Change(t, image, c.open, fmt.Sprintf("jw -b %d-%d %s", first, first+2, contents), fmt.Sprintf("jw -r %d", first+2),
				fmt.Sprintf("jw -b %d-%d %s", first+3, first+5, contents), "jc")
			b, err := os.ReadFile(image)
			if err != nil {
				t.Fatal(err)
			}
			f := opened(t, b)
			if len(f.replay) < 5 {
				t.Fatalf("log has %d blocks", len(f.replay))
			}
			ext4test.Replay(t, image)
			want, err := os.ReadFile(image)
			if err != nil {
				t.Fatal(err)
			}
			for n := uint64(first); n < first+6; n++ {
				got, err := f.block(n)
				if err != nil || !bytes.Equal(got, want[n*blockSize:][:blockSize]) {
					t.Errorf("block %d begins with %q, e2fsck has %q: %v", n, got[:8], want[n*blockSize:][:8], err)
				}
			}
		})
	}
}
