package reader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math"
	"strings"
	"testing"

	"github.com/skerry-app/skerry/ext4"
	"github.com/skerry-app/skerry/ext4/format"
)

const (
	incompatAt = format.SuperOffset + 0x60
	roCompatAt = format.SuperOffset + 0x64
)

var le = binary.LittleEndian

// damaged is an image under repair.
type damaged struct {
	t  *testing.T
	b  []byte
	fs *FS
}

func (d *damaged) inode(name string) *Inode {
	d.t.Helper()
	in, err := d.fs.resolve(name, false)
	if err != nil {
		d.t.Fatal(err)
	}
	return in
}

// bytes returns where an inode is.
func (d *damaged) bytes(name string) []byte {
	d.t.Helper()
	n := d.inode(name).Number - 1
	g, err := d.fs.group(n / d.fs.super.InodesPerGroup)
	if err != nil {
		d.t.Fatal(err)
	}
	at := int(g.InodeTable)*format.BlockSize + int(n%d.fs.super.InodesPerGroup)*format.InodeSize
	return d.b[at:][:format.InodeSize]
}

// block returns where a block of a file is.
func (d *damaged) block(name string, n uint64) []byte {
	d.t.Helper()
	s, err := d.inode(name).span(n)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.b[(s.physical+n-s.logical)*format.BlockSize:][:format.BlockSize]
}

// leaf returns the first block of extents of a file.
func (d *damaged) leaf(name string) []byte {
	d.t.Helper()
	node := format.ExtentNode(d.inode(name).block[:])
	for node.Depth() > 0 {
		e, err := node.Entry(0)
		if err != nil {
			d.t.Fatal(err)
		}
		node = format.ExtentNode(d.b[e.Physical*format.BlockSize:][:format.BlockSize])
	}
	return node
}

// xattrs returns a file's block of attributes.
func (d *damaged) xattrs(name string) []byte {
	return d.b[d.inode(name).xattrBlock*format.BlockSize:][:format.BlockSize]
}

// everything reads all of an image in several ways and returns all errors.
func everything(b []byte) error {
	f, err := New(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	errs := []error{f.WriteTar(io.Discard, nil)}
	fs.WalkDir(f, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			errs = append(errs, err)
			return nil
		}
		in, err := f.resolve(path, false)
		if err != nil {
			errs = append(errs, err)
			return nil
		}
		_, err = in.Xattrs()
		errs = append(errs, err)
		if in.isLink() {
			_, err = f.ReadLink(path)
			errs = append(errs, err)
		}
		if c, err := in.Contents(); err == nil {
			_, err = io.CopyN(io.Discard, io.NewSectionReader(c, 0, c.Size()), 64<<20)
			if err != io.EOF {
				errs = append(errs, err)
			}
		}
		return nil
	})
	return errors.Join(errs...)
}

// TestDamage damages an image without checksums in one place at a time.
func TestDamage(t *testing.T) {
	whole := image(t)
	whole[roCompatAt+1] &^= format.ROCompatMetadataCsum >> 8
	if err := everything(whole); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		damage func(d *damaged)
		want   string
	}{
		"magic":               {func(d *damaged) { d.b[format.SuperOffset+0x38] = 0 }, "magic number"},
		"block size":          {func(d *damaged) { d.b[format.SuperOffset+0x18] = 7 }, "blocks have"},
		"inode size":          {func(d *damaged) { d.b[format.SuperOffset+0x58] = 3 }, "inodes have"},
		"no inodes":           {func(d *damaged) { clear(d.b[format.SuperOffset+0x28:][:4]) }, "groups have 0 inodes"},
		"no blocks in groups": {func(d *damaged) { clear(d.b[format.SuperOffset+0x20:][:4]) }, "groups have 0 blocks"},
		"too many inodes":     {func(d *damaged) { le.PutUint32(d.b[format.SuperOffset:], math.MaxUint32) }, "do not fit"},
		"cut off":             {func(d *damaged) { d.b = d.b[:len(d.b)-format.BlockSize] }, "cut off"},
		"inode table":         {func(d *damaged) { le.PutUint32(d.b[format.BlockSize+8:], math.MaxUint32) }, "group 0 has its inodes in block"},
		"root is a file":      {func(d *damaged) { le.PutUint16(d.bytes("."), format.TypeFile) }, "root is no directory"},
		"root's parent":       {func(d *damaged) { le.PutUint32(d.block(".", 0)[12:], 12) }, `has ".." of inode 12`},

		"mode":           {func(d *damaged) { le.PutUint16(d.bytes("sub"), 0) }, "has no type of file"},
		"type":           {func(d *damaged) { le.PutUint16(d.bytes("sub"), format.TypeFIFO) }, "directory says that inode"},
		"no links":       {func(d *damaged) { le.PutUint16(d.bytes("device")[0x1A:], 0) }, "is not in use"},
		"extra size":     {func(d *damaged) { le.PutUint16(d.bytes("device")[0x80:], 200) }, "i_extra_isize"},
		"huge file":      {func(d *damaged) { le.PutUint32(d.bytes("file")[0x6C:], math.MaxUint32) }, "file has 18446744069414584328 bytes"},
		"huge directory": {func(d *damaged) { le.PutUint32(d.bytes("sub")[0x04:], 1<<30) }, "directory has 1073741824 bytes"},
		"empty link":     {func(d *damaged) { le.PutUint32(d.bytes("fast")[0x04:], 0) }, "target of 0 bytes"},
		"long link":      {func(d *damaged) { le.PutUint32(d.bytes("fast")[0x04:], 4096) }, "target of 4096 bytes"},
		"longer link":    {func(d *damaged) { le.PutUint32(d.bytes("fast")[0x04:], 5) }, "target of symbolic link ends"},
		"slow link":      {func(d *damaged) { le.PutUint32(d.bytes("slow")[0x04:], 3000) }, "target of symbolic link ends"},

		"extent magic":  {func(d *damaged) { d.bytes("file")[0x28] = 0 }, "extent tree's node has the magic number"},
		"extent count":  {func(d *damaged) { d.bytes("file")[0x2A] = 5 }, "5 entries of at most 4"},
		"extent room":   {func(d *damaged) { d.bytes("file")[0x2C] = 5 }, "of at most 5, and has room for 4"},
		"extent depth":  {func(d *damaged) { d.bytes("file")[0x2E] = 6 }, "6 levels below"},
		"extent beyond": {func(d *damaged) { le.PutUint32(d.bytes("file")[0x28+12+8:], math.MaxUint32) }, "beyond the last of"},
		"extent in block 0": {func(d *damaged) {
			le.PutUint16(d.bytes("comb")[0x28+12+8:], 0)
			le.PutUint32(d.bytes("comb")[0x28+12+4:], 0)
		}, "block 0 cannot map others"},
		"extent of no blocks":    {func(d *damaged) { le.PutUint16(d.bytes("file")[0x28+12+4:], 0) }, "extent of no blocks"},
		"leaf's depth":           {func(d *damaged) { le.PutUint16(d.leaf("comb")[6:], 1) }, "says that 1 levels are below, not 0"},
		"leaf is no leaf":        {func(d *damaged) { clear(d.leaf("comb")) }, "magic number 0x0"},
		"leaf's extents overlap": {func(d *damaged) { le.PutUint16(d.leaf("comb")[12+4:], 7) }, "extent tree has the blocks"},
		"leaf out of range":      {func(d *damaged) { le.PutUint32(d.leaf("comb")[12:], 5000) }, "extent tree has the blocks"},

		"blocks shared": {func(d *damaged) {
			b, n := d.bytes("file"), uint32(d.fs.super.blocks-1)
			le.PutUint32(b[0x04:], n*format.BlockSize)
			le.PutUint16(b[0x28+12+4:], uint16(n))
			le.PutUint32(b[0x28+12+8:], 1)
		}, "more blocks together"},

		"entry of no length": {func(d *damaged) { le.PutUint16(d.block("sub", 0)[24+4:], 0) }, "directory entry of 0 bytes"},
		"entry beyond":       {func(d *damaged) { le.PutUint16(d.block("sub", 0)[24+4:], 4096) }, "directory entry of 4096 bytes"},
		"long name":          {func(d *damaged) { d.block("sub", 0)[24+6] = 255 }, "has a name of 255"},
		"no name":            {func(d *damaged) { d.block("sub", 0)[24+6] = 0 }, "has a name of 0"},
		"slash":              {func(d *damaged) { d.block("sub", 0)[24+8] = '/' }, `has the name "/`},
		"zero":               {func(d *damaged) { d.block("sub", 0)[24+8] = 0 }, `has the name "\x00`},
		"dots":               {func(d *damaged) { copy(d.block("sub", 0)[24+6:], "\x02\x02..") }, `a further ".."`},
		"no dot":             {func(d *damaged) { d.block("sub", 0)[8] = 'x' }, `where "." of inode`},
		"other self":         {func(d *damaged) { d.block("sub", 0)[0]++ }, `where "." of inode`},
		"no dot-dot":         {func(d *damaged) { le.PutUint32(d.block("sub", 0)[12:], 0) }, `where ".." of inode`},
		"inode 4294967295":   {func(d *damaged) { le.PutUint32(d.block("sub", 0)[24:], math.MaxUint32) }, "is inode 4294967295"},
		"cycle": {func(d *damaged) {
			le.PutUint32(d.block("sub/deeper", 0)[0:], d.inode("sub").Number)
			le.PutUint32(d.block("sub", 0)[24:], d.inode("sub").Number)
		}, "directory has"},
		"hole in a directory": {func(d *damaged) { le.PutUint16(d.bytes("sub")[0x28+2:], 0) }, "is a hole"},
		"root in the root":    {func(d *damaged) { le.PutUint32(d.block(".", 0)[24:], format.RootInode) }, "has itself"},
		"name twice": {func(d *damaged) {
			b := d.block("sub", 0)
			n := copy(b[24+20:], b[24:24+20])
			le.PutUint16(b[24+4:], uint16(n))
			le.PutUint16(b[24+20+4:], format.DirRoom-24-20)
		}, "twice"},

		"index's count":  {func(d *damaged) { le.PutUint16(d.block("big", 0)[32+2:], 600) }, "node with 600 entries"},
		"index's order":  {func(d *damaged) { le.PutUint32(d.block("big", 0)[48:], math.MaxUint32) }, "is not in order"},
		"index's levels": {func(d *damaged) { d.block("big", 0)[30] = 200 }, "200 levels below the root"},
		"index to itself": {func(d *damaged) {
			le.PutUint32(d.block("big", 0)[36:], 0)
			d.block("big", 0)[34] = 1
			d.block("big", 0)[35] = 0
		}, `a further "."`},
		"index beyond": {func(d *damaged) {
			le.PutUint32(d.block("big", 0)[36:], 0xFFFFFF)
			d.block("big", 0)[34] = 1
			d.block("big", 0)[35] = 0
		}, "has no block 16777215"},

		"xattr block":       {func(d *damaged) { clear(d.xattrs("file")[:4]) }, "block of extended attributes has the magic number"},
		"xattr without end": {func(d *damaged) { copy(d.xattrs("file")[32:], bytes.Repeat([]byte{0, 9}, 2100)) }, "extended attribute"},
		"xattr's value":     {func(d *damaged) { le.PutUint32(d.xattrs("file")[32+8:], math.MaxUint32) }, "value of 4294967295 bytes"},
		"xattr's offset":    {func(d *damaged) { le.PutUint16(d.xattrs("file")[32+2:], 4000) }, "at byte 4000 of 4096"},
		"xattr's inode":     {func(d *damaged) { le.PutUint32(d.xattrs("file")[32+4:], d.inode("comb").Number) }, "is not its value"},
		"xattr far away":    {func(d *damaged) { le.PutUint32(d.bytes("file")[0x68:], math.MaxUint32) }, "beyond the last of"},
		"xattr in inode":    {func(d *damaged) { le.PutUint16(d.bytes("file")[164+2:], 20000) }, "at byte 20000"},
		"ACL":               {func(d *damaged) { d.bytes("device")[format.InodeSize-16] = 9 }, "access control list"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := New(bytes.NewReader(whole), int64(len(whole)))
			if err != nil {
				t.Fatal(err)
			}
			d := &damaged{t, bytes.Clone(whole), f}
			c.damage(d)
			err = everything(d.b)
			if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, ErrCorrupt) {
				t.Errorf("error %.2000v, want one with %q", err, c.want)
			}
		})
	}
}

// TestChecksums changes a byte that means nothing in each kind of metadata.
func TestChecksums(t *testing.T) {
	whole := image(t)
	if err := everything(whole); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		damage func(d *damaged)
		want   string
	}{
		"superblock":  {func(d *damaged) { d.b[format.SuperOffset+0x88]++ }, "superblock: checksum"},
		"group":       {func(d *damaged) { d.b[format.BlockSize+0x1C]++ }, "descriptor of group 0: checksum"},
		"inode":       {func(d *damaged) { d.bytes("device")[0x90]++ }, "checksum"},
		"directory":   {func(d *damaged) { d.block("sub", 0)[200]++ }, "block 0 of the directory"},
		"no checksum": {func(d *damaged) { d.block("sub", 0)[format.DirRoom+7]++ }, "directory block has no checksum"},
		"index":       {func(d *damaged) { d.block("big", 0)[40]++ }, "block 0 of the directory"},
		"extents":     {func(d *damaged) { d.leaf("comb")[12+12+8]++ }, "of the extent tree: checksum"},
		"xattrs":      {func(d *damaged) { d.xattrs("file")[100]++ }, "extended attributes in block"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := New(bytes.NewReader(whole), int64(len(whole)))
			if err != nil {
				t.Fatal(err)
			}
			d := &damaged{t, bytes.Clone(whole), f}
			c.damage(d)
			if err := everything(d.b); err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, ErrCorrupt) {
				t.Errorf("error %.2000v, want one with %q", err, c.want)
			}
		})
	}
}

// TestUnsupported sets features that are not read here.
func TestUnsupported(t *testing.T) {
	whole := written(t, ext4.Options{Size: 16 << 20, Journal: 4 << 20}, func(*ext4.Writer, *ext4.Node) {})
	whole[roCompatAt+1] &^= format.ROCompatMetadataCsum >> 8
	if err := everything(whole); err != nil {
		t.Fatal(err)
	}
	set := func(at int, v uint32) func(b []byte) {
		return func(b []byte) { le.PutUint32(b[at:], le.Uint32(b[at:])|v) }
	}
	recover := func(then func(b []byte)) func(b []byte) {
		return func(b []byte) {
			set(incompatAt, format.IncompatRecover)(b)
			then(b)
		}
	}
	// The journal's first block, where it has its features in byte 43.
	log := bytes.Index(whole, []byte{0xC0, 0x3B, 0x39, 0x98, 0, 0, 0, 4})
	for name, c := range map[string]struct {
		change      func(b []byte)
		want        string
		unsupported bool
	}{
		"encrypt":            {set(incompatAt, format.IncompatEncrypt), ": encrypt:", true},
		"casefold and more":  {set(incompatAt, format.IncompatCasefold|1<<30), "casefold, 0x40000000", true},
		"compression":        {set(incompatAt, format.IncompatCompression), "compression", true},
		"journal device":     {set(incompatAt, format.IncompatJournalDev), "journal_dev", true},
		"external journal":   {recover(func(b []byte) { clear(b[format.SuperOffset+0xE0:][:4]) }), "on another device", true},
		"no journal":         {recover(func(b []byte) { b[format.SuperOffset+0x5C] &^= format.CompatHasJournal }), "has no journal", false},
		"journal's features": {recover(func(b []byte) { b[log+43] = 0x40 }), "features 0x40 of the journal", true},
		"async commit":       {recover(func(b []byte) { b[log+43] = format.JournalHasAsync }), "async_commit", true},
		"journal's blocks":   {recover(func(b []byte) { b[log+14] = 8 }), "blocks of 2048 bytes", false},
		"journal's length":   {recover(func(b []byte) { b[log+17] = 1 }), "says that it has", false},
		"journal's start":    {recover(func(b []byte) { b[log+28] = 1 }), "starts at 16777216", false},
		"journal's magic":    {recover(func(b []byte) { b[log] = 0 }), "magic number", false},
		"journal's checksum": {recover(func(b []byte) { b[log+43] = format.JournalHasCsumV3 }), "checksum", false},
		"fast commits": {recover(func(b []byte) {
			b[log+43] = format.JournalHasFast
			first := log + (4<<20/format.BlockSize-256+1)*format.BlockSize
			b[log+31] = 1 // start
			copy(b[first:], []byte{9, 0, 8, 0, 0, 0, 0, 0, 1, 0, 0, 0})
		}), "fast commits", true},
	} {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(whole)
			c.change(b)
			err := everything(b)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			if errors.Is(err, errors.ErrUnsupported) != c.unsupported || errors.Is(err, ErrCorrupt) == c.unsupported {
				t.Errorf("error %v is of the wrong kind", err)
			}
		})
	}
}
