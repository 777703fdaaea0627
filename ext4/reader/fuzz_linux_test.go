package reader_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/ext4"
	"github.com/skerry-app/skerry/ext4/ext4test"
	"github.com/skerry-app/skerry/ext4/reader"
)

// maxReads is how often a small image may be read to see all of it. It takes
// less than a thousand for one that is not damaged.
const maxReads = 100000

// FuzzReader changes images at places that are in use, and turns checksums off,
// so that the changes are seen. Whatever the image is, reading it ends.
//
// An input has a number of an image, what to do with checksums, and changes: a
// place in the image in three bytes, a length and bytes.
func FuzzReader(f *testing.F) {
	images := seeds(f)
	var used [][]int
	for i, image := range images {
		used = append(used, nil)
		for at := 0; at < len(image); at += chunk {
			if !bytes.Equal(image[at:at+chunk], make([]byte, chunk)) {
				used[i] = append(used[i], at)
			}
		}
		for _, sums := range []byte{0, 1} {
			f.Add(byte(i), sums, []byte{})
			f.Add(byte(i), sums, []byte{0, 4, 0x20, 1, 2})
		}
	}
	f.Fuzz(func(t *testing.T, number, sums byte, changes []byte) {
		n := int(number) % len(images)
		image := bytes.Clone(images[n])
		if sums&1 != 0 {
			image[1024+0x65] &^= 4 // metadata_csum
		}
		for len(changes) > 4 {
			at := used[n][(int(changes[0])<<8|int(changes[1]))%len(used[n])] + int(changes[2])%(2*chunk)
			length := min(int(changes[3])%9, len(changes)-4)
			copy(image[at%len(image):], changes[4:4+length])
			changes = changes[4+length:]
		}
		explore(&counter{r: bytes.NewReader(image), max: maxReads}, int64(len(image)))
	})
}

const chunk = 32 // bytes

// counter counts reads of an image.
type counter struct {
	r     io.ReaderAt
	reads int
	max   int // a panic comes after so many
}

func (c *counter) ReadAt(p []byte, off int64) (int, error) {
	if c.reads++; c.reads > c.max {
		panic("image is read too often")
	}
	return c.r.ReadAt(p, off)
}

// seeds returns small images: of package ext4 and of mke2fs, and one whose
// journal is to be replayed.
func seeds(f *testing.F) [][]byte {
	var all [][]byte
	add := func(path string) {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, b)
	}
	path := filepath.Join(f.TempDir(), "ours")
	small(f, path)
	add(path)
	const uuid = "01234567-89ab-cdef-0123-456789abcdef" // so that inputs find the same image again
	source := f.TempDir()
	smallTree(f, source)
	for _, args := range [][]string{
		{"-b", "1024", "-O", "^has_journal,^resize_inode", "-N", "64"},
		{"-b", "1024", "-O", "^extent,^64bit,^has_journal,^resize_inode", "-N", "64"},
		{"-b", "1024", "-O", "inline_data,^has_journal,^resize_inode,ea_inode,meta_bg,large_dir", "-N", "64"},
	} {
		path := filepath.Join(f.TempDir(), "image")
		ext4test.Mke2fs(f, append(append([]string{"-F", "-t", "ext4", "-d", source, "-U", uuid, "-E", "hash_seed=" + uuid}, args...), path, "512k")...)
		add(path)
	}
	for _, name := range []string{"indexed.gz", "replay.gz", "replay-plain.gz"} {
		z, err := os.Open(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		defer z.Close()
		r, err := gzip.NewReader(z)
		if err != nil {
			f.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// smallTree makes a few files of each kind.
func smallTree(f *testing.F, dir string) {
	must := func(err error) {
		if err != nil {
			f.Fatal(err)
		}
	}
	must(os.WriteFile(filepath.Join(dir, "file"), []byte("contents"), 0o644))
	must(os.Mkdir(filepath.Join(dir, "dir"), 0o755))
	must(os.WriteFile(filepath.Join(dir, "dir/more"), bytes.Repeat([]byte("more"), 3000), 0o644))
	must(os.Link(filepath.Join(dir, "file"), filepath.Join(dir, "dir/hard")))
	must(os.Symlink("dir/../file", filepath.Join(dir, "link")))
	must(os.Symlink("/"+string(bytes.Repeat([]byte("./"), 50))+"file", filepath.Join(dir, "long")))
	must(unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	must(unix.Setxattr(filepath.Join(dir, "file"), "user.a", []byte("value"), 0))
	must(unix.Setxattr(filepath.Join(dir, "file"), "user.b", bytes.Repeat([]byte("v"), 500), 0))
	sparse, err := os.Create(filepath.Join(dir, "sparse"))
	must(err)
	for i := range int64(6) { // more extents than an inode has
		_, err = sparse.WriteAt([]byte("x"), i*i*4096)
		must(err)
	}
	must(sparse.Truncate(1 << 20))
	must(sparse.Close())
}

// small is an image of package ext4.
func small(f testing.TB, path string) {
	f.Helper()
	out, err := os.Create(path)
	if err != nil {
		f.Fatal(err)
	}
	defer out.Close()
	w, err := ext4.NewWriter(out, ext4.Options{UUID: [16]byte{1}})
	if err != nil {
		f.Fatal(err)
	}
	root := ext4.NewDir(0o755)
	b, err := w.Data(bytes.NewReader([]byte("contents")), 8)
	if err != nil {
		f.Fatal(err)
	}
	n := ext4.NewFile(0o644, b)
	n.Xattrs = map[string][]byte{"user.a": []byte("value"), "user.b": bytes.Repeat([]byte("v"), 100)}
	root.Set("file", n)
	dir := ext4.NewDir(0o755)
	root.Set("dir", dir)
	for i := range 100 {
		name := binary.BigEndian.AppendUint64(bytes.Repeat([]byte("n"), 60), uint64(i)+math.MaxUint64/2)
		dir.Set(string(bytes.ReplaceAll(bytes.ReplaceAll(name, []byte{0}, []byte("0")), []byte("/"), []byte("1"))), n)
	}
	if _, err := w.Close(root); err != nil {
		f.Fatal(err)
	}
}

// explore uses all that a reader has. Errors are welcome.
func explore(image io.ReaderAt, size int64) {
	fsys, err := reader.New(image, size)
	if err != nil {
		return
	}
	fsys.WriteTar(io.Discard, nil)
	buffer := make([]byte, 64<<10)
	fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		fsys.Stat(path)
		fsys.ReadLink(path)
		fsys.Open(path + "/no such name")
		fi, err := fsys.Lstat(path)
		if err != nil {
			return nil
		}
		in := fi.Sys().(*reader.Inode)
		in.Xattrs()
		c, err := in.Contents()
		if err != nil {
			return nil
		}
		for at := int64(0); ; {
			s, err := c.Next(at)
			if err != nil || at > 64<<20 {
				return nil
			}
			c.ReadAt(buffer, s.Start)
			at = s.End
		}
	})
}
