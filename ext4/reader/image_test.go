package reader

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skerry-app/skerry/ext4"
	"github.com/skerry-app/skerry/ext4/format"
)

// bigNames is how many names are in the directory "big" of an image.
const bigNames = 300

// bigName returns a name in the directory "big", long enough for an index of
// several blocks.
func bigName(i int) string { return fmt.Sprintf("name %d%s", i, strings.Repeat("x", 60)) }

// acl is an access control list as getxattr(2) gives it.
const acl = "\x02\x00\x00\x00" +
	"\x01\x00\x06\x00\xff\xff\xff\xff" + "\x04\x00\x04\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff"

// image returns a file system of package ext4 with a bit of everything.
func image(t testing.TB) []byte {
	return written(t, ext4.Options{}, func(w *ext4.Writer, root *ext4.Node) {
		at := time.Unix(3<<30, 123456789)
		root.Mtime = at
		file := ext4.NewFile(0o4755, blob(t, w, []byte("contents")))
		file.UID, file.GID, file.Mtime = 1<<31, 70000, at
		file.Xattrs = map[string][]byte{"user.small": []byte("s"), "user.large": bytes.Repeat([]byte("l"), 1000)}
		root.Set("file", file)
		comb := make([]byte, 2*400*format.BlockSize) // more extents than a block of the tree has
		for i := 0; i < len(comb); i += 2 * format.BlockSize {
			comb[i] = 1
		}
		root.Set("comb", ext4.NewFile(0o600, blob(t, w, comb)))
		root.Set("fast", &ext4.Node{Mode: format.TypeLink | 0o777, Target: "file", Mtime: at})
		root.Set("slow", &ext4.Node{Mode: format.TypeLink | 0o777, Target: strings.Repeat("./", 100) + "file", Mtime: at})
		root.Set("socket", &ext4.Node{Mode: format.TypeSocket, Mtime: at})
		root.Set("device", &ext4.Node{Mode: format.TypeBlock | 0o660, Major: 259, Minor: 70000, Mtime: at, Xattrs: map[string][]byte{format.ACLAccess: []byte(acl)}})
		sub := ext4.NewDir(0o700)
		root.Set("sub", sub)
		sub.Set("deeper", ext4.NewDir(0o700))
		sub.Set("name\xff", file)
		big := ext4.NewDir(0o755)
		root.Set("big", big)
		for i := range bigNames {
			big.Set(bigName(i), file)
		}
	})
}

// written returns a file system of package ext4 with what fill gives the root.
func written(t testing.TB, o ext4.Options, fill func(w *ext4.Writer, root *ext4.Node)) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o.UUID = [16]byte{1}
	w, err := ext4.NewWriter(f, o)
	if err != nil {
		t.Fatal(err)
	}
	root := ext4.NewDir(0o755)
	fill(w, root)
	if _, err := w.Close(root); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func blob(t testing.TB, w *ext4.Writer, p []byte) *ext4.Blob {
	t.Helper()
	b, err := w.Data(bytes.NewReader(p), int64(len(p)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// counted counts how often an image is read.
type counted struct {
	*bytes.Reader
	reads int
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	return c.Reader.ReadAt(p, off)
}

// TestIndex looks names up in a directory of 50,000, and counts what is read
// for that.
func TestIndex(t *testing.T) {
	const names = 50000
	name := func(i int) string { return fmt.Sprintf("entry %d%s", i, strings.Repeat("x", 90)) }
	b := written(t, ext4.Options{}, func(_ *ext4.Writer, root *ext4.Node) {
		file, big := ext4.NewFile(0o644, nil), ext4.NewDir(0o755)
		root.Set("big", big)
		for i := range names {
			big.Set(name(i), file)
		}
	})
	c := &counted{Reader: bytes.NewReader(b)}
	f, err := New(c, int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	big, err := f.resolve("big", true)
	if err != nil {
		t.Fatal(err)
	}
	first, err := big.dirBlock(0)
	if err != nil {
		t.Fatal(err)
	}
	if root, err := format.ParseDXRoot(first); err != nil || root.Levels != 1 || big.dirBlocks() < 1000 {
		t.Fatalf("directory of %d blocks has %d levels below the index's root: %v", big.dirBlocks(), root.Levels, err)
	}
	for range 2000 {
		i := rand.N(2 * names) // half of them are not there
		f.cache = cache{}
		c.reads = 0
		_, err := f.Lstat("big/" + name(i))
		if (err == nil) != (i < names) {
			t.Fatalf("entry %d: %v", i, err)
		}
		// Descriptor, inode, and block of the directories "." and "big", two
		// levels of the index, the leaf, and the inode.
		if c.reads > 9 {
			t.Fatalf("entry %d: %d blocks were read for a look-up", i, c.reads)
		}
	}
	for i := range names {
		if _, err := f.Lstat("big/" + name(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCollision has the index say, wherever it can, that names with the hash
// that a leaf begins with are in the leaf before too.
func TestCollision(t *testing.T) {
	b := image(t)
	b[roCompatAt+1] &^= format.ROCompatMetadataCsum >> 8
	d := &damaged{t, b, opened(t, b)}
	block := d.block("big", 0)
	root, err := format.ParseDXRoot(block)
	if err != nil || root.Len() < 4 {
		t.Fatalf("index has %d entries: %v", root.Len(), err)
	}
	const entries = 32 // where they are in the block, 8 bytes each
	for i := 1; i < root.Len(); i++ {
		block[entries+8*i] |= 1
	}
	d.fs = opened(t, b)
	for i := range bigNames {
		if _, err := d.fs.Lstat("big/" + bigName(i)); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.fs.Lstat("big/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
