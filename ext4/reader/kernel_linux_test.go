package reader_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/ext4"
	"github.com/skerry-app/skerry/ext4/ext4test"
	"github.com/skerry-app/skerry/ext4/format"
	"github.com/skerry-app/skerry/ext4/layers"
	"github.com/skerry-app/skerry/ext4/reader"
)

// populate makes a bit of everything in a directory that the kernel has.
func populate(t *testing.T, dir string) {
	t.Helper()
	p := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	random := rand.NewChaCha8([32]byte{7})
	for _, size := range []int{0, 1, 59, 60, 61, 100, 150, 1023, 1024, 4096, 5000, 70000, 1 << 20} {
		b := make([]byte, size)
		random.Read(b)
		must(os.WriteFile(p(fmt.Sprint("file-", size)), b, 0o640))
	}
	must(os.WriteFile(p("magic"), bytes.Repeat([]byte{0xC0, 0x3B, 0x39, 0x98}, 4096), 0o600))
	must(os.WriteFile(p("setuid"), nil, 0o755))
	must(os.Chown(p("setuid"), 70000, 4000000000))
	must(unix.Chmod(p("setuid"), 0o6755))

	sparse, err := os.Create(p("sparse"))
	must(err)
	for _, at := range []int64{0, 300 << 10, 5 << 20, 30 << 20} {
		_, err := sparse.WriteAt([]byte("data"), at)
		must(err)
	}
	must(sparse.Truncate(40 << 20))
	must(sparse.Close())
	comb, err := os.Create(p("comb"))
	must(err)
	for i := range int64(1500) {
		_, err := comb.WriteAt([]byte(fmt.Sprint("tooth", i)), i*8192)
		must(err)
	}
	must(comb.Close())

	must(os.Mkdir(p("links"), 0o1777))
	for _, n := range []int{1, 59, 60, 61, 200, 1000} {
		must(os.Symlink(strings.Repeat("l", n), p(fmt.Sprint("links/", n))))
	}
	must(os.Symlink("/file-100", p("links/absolute")))
	must(os.Symlink("../../../file-100", p("links/clamped")))
	must(os.Symlink("..//links//.././few//", p("links/double")))
	must(os.Symlink("loop", p("links/loop")))
	must(os.Link(p("file-5000"), p("links/hard")))
	must(os.Link(p("links/200"), p("links/hardlink of a link")))

	must(os.Mkdir(p("kinds"), 0o700))
	must(unix.Mknod(p("kinds/fifo"), unix.S_IFIFO|0o600, 0))
	must(unix.Mknod(p("kinds/socket"), unix.S_IFSOCK|0o777, 0))
	must(unix.Mknod(p("kinds/char"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	must(unix.Mknod(p("kinds/block"), unix.S_IFBLK|0o660, int(unix.Mkdev(4095, 1<<20-1))))
	must(os.WriteFile(p("kinds/"+strings.Repeat("n", 255)), []byte("long"), 0o600))
	must(os.WriteFile(p("kinds/not\xffutf\x80-8"), []byte("bytes"), 0o600))
	must(os.WriteFile(p("kinds/ümläut"), []byte("utf-8"), 0o600))

	deep := dir
	for range 20 {
		deep = filepath.Join(deep, "a-directory-in-a-directory")
		must(os.Mkdir(deep, 0o755))
	}
	must(os.WriteFile(filepath.Join(deep, "bottom"), []byte("bottom"), 0o600))
	must(os.Mkdir(p("many"), 0o755))
	for i := range 600 {
		must(os.WriteFile(p(fmt.Sprint("many/name ", i, strings.Repeat("ü", i%50))), nil, 0o600))
	}
	must(os.Mkdir(p("few"), 0o755)) // fits into an inode
	must(os.WriteFile(p("few/one"), []byte("1"), 0o600))
	must(os.WriteFile(p("few/two-with-a-longer-name"), []byte("2"), 0o600))
	must(os.WriteFile(p("few/three-with-a-name-as-long-as-that"), []byte("3"), 0o600))
}

// times sets times that not every file system can have.
func times(t *testing.T, dir string, names ...string) {
	t.Helper()
	for i, at := range []time.Time{time.Unix(-1<<31, 0), time.Unix(-2, 500), time.Unix(1<<32, 999999999), time.Unix(3<<32+1<<31-1, 1)} {
		ts := unix.NsecToTimespec(at.UnixNano())
		if at.Unix() > 1<<33 {
			ts = unix.Timespec{Sec: at.Unix(), Nsec: int64(at.Nanosecond())}
		}
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(dir, names[i]), []unix.Timespec{ts, ts}, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// attributes sets extended attributes; large says that values can be larger
// than a block.
func attributes(t *testing.T, dir string, large bool) {
	t.Helper()
	set := func(name, attribute, value string) {
		t.Helper()
		if err := unix.Lsetxattr(filepath.Join(dir, name), attribute, []byte(value), 0); err != nil {
			t.Fatalf("%s of %s: %v", attribute, name, err)
		}
	}
	set("file-1", "user.small", "value")
	set("file-1", "user.empty", "")
	set("file-100", "user.large", strings.Repeat("v", 700))
	set("file-100", "security.selinux", "label\x00")
	set("file-1024", "user.binary=strange", "\x00\xff=\n")
	set("file-4096", "trusted.other", "t")
	set("links/200", "trusted.link", "on a link")
	set("kinds/char", "security.x", "on a device")
	if large {
		set("file-5000", "user.huge", strings.Repeat("0123456789", 3000))
		set("file-5000", "user.huge2", strings.Repeat("abc", 5000))
	}
	le := binary.LittleEndian
	acl := le.AppendUint32(nil, 2)
	for _, e := range []struct {
		tag, perm uint16
		id        uint32
	}{{1, 6, ^uint32(0)}, {2, 7, 1000}, {2, 5, 3000000000}, {4, 4, ^uint32(0)}, {8, 1, 77}, {16, 7, ^uint32(0)}, {32, 0, ^uint32(0)}} {
		acl = le.AppendUint32(le.AppendUint16(le.AppendUint16(acl, e.tag), e.perm), e.id)
	}
	set("file-60", format.ACLAccess, string(acl))
	set("many", format.ACLDefault, string(acl))
}

// mkfs makes an ext4 file system unless args have another type.
func mkfs(t *testing.T, image, size string, args ...string) {
	t.Helper()
	if !slices.Contains(args, "-t") {
		args = append(args, "-t", "ext4")
	}
	ext4test.Mke2fs(t, append(append([]string{"-F", "-N", "4096"}, args...), image, size)...)
}

// open opens an image.
func open(t testing.TB, image string) *reader.FS {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := reader.New(f, fi.Size())
	if err != nil {
		t.Fatal(err)
	}
	return fsys
}

// manifest is what ext4test.Walk would return if the kernel read like fsys.
func manifest(t testing.TB, fsys *reader.FS) ext4test.Manifest {
	t.Helper()
	m := ext4test.Manifest{}
	first := map[uint32]string{}
	err := fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := fsys.Lstat(path)
		if err != nil {
			return err
		}
		in := fi.Sys().(*reader.Inode)
		e := ext4test.Entry{
			Mode: uint32(in.Mode), UID: in.UID, GID: in.GID, Nlink: uint64(in.Links), Mtime: in.Mtime.UTC(),
			Major: in.Major, Minor: in.Minor,
		}
		switch d.Type() {
		case 0:
			e.Size = fi.Size()
			e.Sum = sum(t, fsys, path)
		case fs.ModeSymlink:
			e.Size = fi.Size()
			if e.Target, err = fsys.ReadLink(path); err != nil {
				return err
			}
		}
		xattrs, err := in.Xattrs()
		if err != nil {
			return err
		}
		for name, value := range xattrs {
			if e.Xattrs == nil {
				e.Xattrs = map[string]string{}
			}
			e.Xattrs[name] = string(value)
		}
		if !d.IsDir() {
			if was, ok := first[in.Number]; ok {
				e.Same = was
			} else {
				first[in.Number] = path
			}
		}
		m[path] = e
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func sum(t testing.TB, fsys *reader.FS, path string) string {
	t.Helper()
	f, err := fsys.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{f}, make([]byte, 1<<20)); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// same compares an image with what the kernel shows of it in dir.
func same(t *testing.T, image, dir string) {
	t.Helper()
	want := ext4test.Walk(t, dir)
	fsys := open(t, image)
	if diff := cmp.Diff(want, manifest(t, fsys)); diff != "" {
		t.Errorf("file system (-kernel +reader):\n%.5000s", diff)
	}
}

// TestKernel compares file systems of many shapes that the kernel has written
// with what it shows of them.
func TestKernel(t *testing.T) {
	for name, c := range map[string]struct {
		args    []string // of mke2fs
		tune    []string // of tune2fs
		seconds bool     // inodes have no room for more
		large   bool     // extended attributes can be inodes
	}{
		"default":         {},
		"1K":              {args: []string{"-b", "1024"}},
		"2K no journal":   {args: []string{"-b", "2048", "-O", "^has_journal"}},
		"block map":       {args: []string{"-O", "^extent,^64bit"}},
		"block map 1K":    {args: []string{"-b", "1024", "-O", "^extent,^64bit"}},
		"inline data":     {args: []string{"-O", "inline_data"}},
		"inline data 1K":  {args: []string{"-b", "1024", "-I", "1024", "-O", "inline_data"}},
		"32 bit":          {args: []string{"-O", "^64bit"}},
		"small inodes":    {args: []string{"-I", "128"}, seconds: true},
		"large inodes":    {args: []string{"-I", "1024"}},
		"no checksums":    {args: []string{"-O", "^metadata_csum"}},
		"csum seed":       {args: []string{"-O", "metadata_csum_seed,orphan_file"}},
		"meta_bg":         {args: []string{"-b", "1024", "-O", "meta_bg,^resize_inode"}},
		"meta_bg 32 bit":  {args: []string{"-b", "1024", "-g", "1024", "-O", "meta_bg,^resize_inode,^64bit,^flex_bg"}},
		"sparse_super2":   {args: []string{"-b", "1024", "-g", "1024", "-O", "sparse_super2,meta_bg,^resize_inode"}},
		"no sparse_super": {args: []string{"-b", "1024", "-O", "^sparse_super,meta_bg,^resize_inode,^flex_bg"}},
		"bigalloc":        {args: []string{"-O", "bigalloc"}},
		"bigalloc 1K":     {args: []string{"-b", "1024", "-O", "bigalloc"}},
		"ea_inode":        {args: []string{"-O", "ea_inode,large_dir"}, large: true},
		"ext2":            {args: []string{"-t", "ext2", "-I", "256"}},
		"ext3":            {args: []string{"-t", "ext3", "-I", "256"}},
		"no filetype":     {args: []string{"-t", "ext2", "-I", "256", "-O", "^filetype"}},
		"mmp":             {args: []string{"-O", "mmp"}},
		"legacy hash":     {args: []string{"-b", "1024"}, tune: []string{"-E", "hash_alg=legacy"}},
		"TEA":             {args: []string{"-b", "1024"}, tune: []string{"-E", "hash_alg=tea"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := filepath.Join(t.TempDir(), "image")
			mkfs(t, image, "96m", c.args...)
			if c.tune != nil {
				ext4test.Tune2fs(t, append(c.tune, image)...)
			}
			dir, unmount := ext4test.Mount(t, image, "rw")
			populate(t, dir)
			attributes(t, dir, c.large)
			if !c.seconds {
				times(t, dir, "file-1", "links", "kinds/fifo", "comb")
			}
			allocate(t, filepath.Join(dir, "allocated"))
			unmount()
			ext4test.Fsck(t, image)
			dir, _ = ext4test.Mount(t, image, "ro")
			same(t, image, dir)
			found(t, open(t, image), dir)
		})
	}
}

// TestOurs compares file systems of package ext4 with what the kernel shows of
// them, one as it was written and one that the kernel has filled.
func TestOurs(t *testing.T) {
	t.Run("written", func(t *testing.T) {
		image := filepath.Join(t.TempDir(), "image")
		small(t, image)
		dir, _ := ext4test.Mount(t, image, "ro")
		same(t, image, dir)
	})
	t.Run("filled", func(t *testing.T) {
		f, err := os.Create(filepath.Join(t.TempDir(), "image"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := ext4.Create(f, ext4.Options{Size: 96 << 20, Journal: 8 << 20}, ext4.NewDir(0o755)); err != nil {
			t.Fatal(err)
		}
		dir, unmount := ext4test.Mount(t, f.Name(), "rw")
		populate(t, dir)
		attributes(t, dir, false)
		settle(t, dir)
		crashed := filepath.Join(t.TempDir(), "copy")
		copyFile(t, f.Name(), crashed)
		if diff := cmp.Diff(ext4test.Walk(t, dir), manifest(t, open(t, crashed))); diff != "" {
			t.Errorf("copy (-kernel +reader):\n%.5000s", diff)
		}
		unmount()
		dir, _ = ext4test.Mount(t, f.Name(), "ro")
		same(t, f.Name(), dir)
		found(t, open(t, f.Name()), dir)
	})
}

// allocate makes a file with extents that are not written, where the file
// system has those.
func allocate(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(bytes.Repeat([]byte{1}, 100000), 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.Fallocate(int(f.Fd()), 0, 50000, 3000000); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("in the middle"), 1000000); err != nil {
		t.Fatal(err)
	}
}

// found looks names up that are there and that are not.
func found(t *testing.T, fsys *reader.FS, dir string) {
	t.Helper()
	names, err := os.ReadDir(filepath.Join(dir, "many"))
	if err != nil || len(names) != 600 {
		t.Fatalf("%d names: %v", len(names), err)
	}
	for _, n := range names {
		if _, err := fsys.Lstat("many/" + n.Name()); err != nil {
			t.Error(err)
		}
		if _, err := fsys.Lstat("many/" + n.Name() + "x"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q with an x behind: %v", n.Name(), err)
		}
	}
	for name, want := range map[string]error{
		"links/absolute": nil, "links/clamped": nil, "links/double": nil, "links/double/one": nil, "links/loop": unix.ELOOP, "links/1": fs.ErrNotExist,
		"links/absolute/x": unix.ENOTDIR, "file-100/x": unix.ENOTDIR, "links/..": fs.ErrInvalid, "/links": fs.ErrInvalid,
	} {
		if _, err := fsys.Stat(name); !errors.Is(err, want) {
			t.Errorf("stat %s: %v, want %v", name, err, want)
		}
	}
}

// TestMke2fsDir compares file systems that mke2fs has written with their
// source, also where the kernel here cannot mount them.
func TestMke2fsDir(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("devices and owners need root: run the tests with sudo")
	}
	source := t.TempDir()
	populate(t, source)
	if err := os.Remove(filepath.Join(source, "links/hardlink of a link")); err != nil { // mke2fs makes two of it
		t.Fatal(err)
	}
	attributes(t, source, false)
	want := ext4test.Walk(t, source)
	for path, e := range want {
		e.Mtime = e.Mtime.Truncate(time.Second) // mke2fs has no more
		want[path] = e
	}
	for name, args := range map[string][]string{
		"default":   nil,
		"1K":        {"-b", "1024"},
		"32K":       {"-b", "32768"},
		"64K":       {"-b", "65536"},
		"64K ext3":  {"-t", "ext3", "-b", "65536"},
		"block map": {"-O", "^extent,^metadata_csum,^64bit"},
	} {
		t.Run(name, func(t *testing.T) {
			image := filepath.Join(t.TempDir(), "image")
			mkfs(t, image, "192m", append([]string{"-d", source}, args...)...)
			got := manifest(t, open(t, image))
			delete(got, "lost+found")
			root := got["."]
			root.Nlink--
			root.Mtime = want["."].Mtime
			got["."] = root
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("file system (-source +reader):\n%.5000s", diff)
			}
		})
	}
}

// TestReplay copies file systems while they are mounted, and compares what is
// read from the copy, before anything has replayed its journal, with what the
// kernel shows that has done so.
func TestReplay(t *testing.T) {
	for name, c := range map[string]struct {
		args    []string
		options string
	}{
		"default":          {nil, ""},
		"1K":               {[]string{"-b", "1024"}, ""},
		"32 bit":           {[]string{"-O", "^64bit"}, ""},
		"no checksums":     {[]string{"-O", "^metadata_csum"}, ""},
		"v1 checksums":     {[]string{"-O", "^metadata_csum"}, ",journal_checksum"},
		"data":             {nil, ",data=journal"},
		"data 1K":          {[]string{"-b", "1024", "-O", "^metadata_csum,^64bit"}, ",data=journal"},
		"block map":        {[]string{"-t", "ext3"}, ",data=journal"},
		"async":            {nil, ",journal_async_commit,data=writeback"},
		"orphan file, 128": {[]string{"-O", "orphan_file", "-I", "128"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := filepath.Join(t.TempDir(), "image")
			mkfs(t, image, "96m", append([]string{"-J", "size=8"}, c.args...)...)
			dir, unmount := ext4test.Mount(t, image, "rw"+c.options)
			populate(t, dir)
			attributes(t, dir, false)
			settle(t, dir)
			if err := os.RemoveAll(filepath.Join(dir, "many")); err != nil { // revokes
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(dir, "kinds"), filepath.Join(dir, "sorts")); err != nil {
				t.Fatal(err)
			}
			fill := func(name string) {
				for i := range 300 {
					if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(name, i)), bytes.Repeat([]byte{0xC0, 0x3B, 0x39, 0x98}, 100*i), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			fill("later")
			orphan, err := os.Open(filepath.Join(dir, "file-70000"))
			if err != nil {
				t.Fatal(err)
			}
			defer orphan.Close()
			if err := os.Remove(orphan.Name()); err != nil {
				t.Fatal(err)
			}
			settle(t, dir)
			fill("again")
			settle(t, dir)
			crashed := filepath.Join(t.TempDir(), "copy")
			copyFile(t, image, crashed)
			orphan.Close()
			unmount()
			if !strings.Contains(ext4test.Debugfs(t, crashed, "show_super_stats -h"), "needs_recovery") {
				t.Fatal("copy does not need its journal")
			}
			fsys := open(t, crashed)
			got := manifest(t, fsys)
			replayed := filepath.Join(t.TempDir(), "replayed")
			copyFile(t, crashed, replayed)
			dir, _ = ext4test.Mount(t, replayed, "rw,noatime")
			if diff := cmp.Diff(ext4test.Walk(t, dir), got); diff != "" {
				t.Errorf("file system (-kernel +reader):\n%.5000s", diff)
			}
		})
	}
}

// TestFastCommit copies a file system with fast commits in its journal.
func TestFastCommit(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	mkfs(t, image, "96m", "-O", "fast_commit")
	dir, unmount := ext4test.Mount(t, image, "rw")
	settle(t, dir)
	for i := range 5 {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint("file", i)))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString("contents"); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.New(bytes.NewReader(b), int64(len(b))); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "fast commits") {
		t.Errorf("copy with fast commits: %v", err)
	}
	unmount()
	dir, _ = ext4test.Mount(t, image, "ro")
	same(t, image, dir)
}

// settle has everything that is written so far in the image, of which the
// metadata is in its journal.
func settle(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "--sparse=always", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
}

// TestTar compares an archive with the file system, once as archive/tar reads
// it and once as GNU tar extracts it.
func TestTar(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	mkfs(t, image, "96m")
	dir, unmount := ext4test.Mount(t, image, "rw")
	populate(t, dir)
	attributes(t, dir, false)
	if err := unix.Lremovexattr(filepath.Join(dir, "file-1024"), "user.binary=strange"); err != nil { // no archive has it
		t.Fatal(err)
	}
	times(t, dir, "file-1", "links", "kinds/fifo", "comb")
	unmount()
	dir, _ = ext4test.Mount(t, image, "ro")
	want := ext4test.Walk(t, dir)
	delete(want, "kinds/socket")

	var archive bytes.Buffer
	if err := open(t, image).WriteTar(&archive, nil); err != nil {
		t.Fatal(err)
	}
	t.Run("archive/tar", func(t *testing.T) {
		if diff := cmp.Diff(want, unpack(t, bytes.NewReader(archive.Bytes()), want)); diff != "" {
			t.Errorf("archive (-kernel +archive):\n%.5000s", diff)
		}
	})
	t.Run("GNU tar", func(t *testing.T) {
		to := t.TempDir()
		cmd := exec.Command("tar", "-C", to, "-xp", "--numeric-owner", "--xattrs", "--xattrs-include=*",
			"--warning=no-timestamp", "--warning=no-unknown-keyword", "-f", "-")
		cmd.Stdin = bytes.NewReader(archive.Bytes())
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("tar: %v: %s", err, out)
		}
		if diff := cmp.Diff(want, ext4test.Walk(t, to)); diff != "" {
			t.Errorf("archive (-kernel +extracted):\n%.5000s", diff)
		}
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(to, "sparse"), &st); err != nil || st.Blocks*512 > 1<<20 {
			t.Errorf("sparse file takes %d bytes: %v", st.Blocks*512, err)
		}
	})
	t.Run("ext4/layers", func(t *testing.T) {
		f, err := os.Create(filepath.Join(t.TempDir(), "image"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		l := layers.Layer{Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(archive.Bytes())), nil
		}}
		if _, err := layers.Write(t.Context(), f, []layers.Layer{l}, layers.Options{ID: digest.FromString("archive")}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, manifest(t, open(t, f.Name()))); diff != "" {
			t.Errorf("image (-kernel +made of the archive):\n%.5000s", diff)
		}
	})
	t.Run("again", func(t *testing.T) {
		var again bytes.Buffer
		if err := open(t, image).WriteTar(&again, nil); err != nil || !bytes.Equal(again.Bytes(), archive.Bytes()) {
			t.Errorf("a second archive is another one: %v", err)
		}
	})
	t.Run("skip", func(t *testing.T) {
		var less bytes.Buffer
		err := open(t, image).WriteTar(&less, func(path string) bool { return path == "lost+found" || path == "links" || path == "many" })
		if err != nil {
			t.Fatal(err)
		}
		left := ext4test.Manifest{}
		for path, e := range want {
			if path != "lost+found" && !strings.HasPrefix(path, "links") && !strings.HasPrefix(path, "many") {
				left[path] = e
			}
		}
		if diff := cmp.Diff(left, unpack(t, &less, want)); diff != "" {
			t.Errorf("archive (-kernel +archive):\n%.5000s", diff)
		}
	})
}

// unpack reads an archive. Link counts, which an archive does not have, are
// those of like.
func unpack(t *testing.T, r io.Reader, like ext4test.Manifest) ext4test.Manifest {
	t.Helper()
	m := ext4test.Manifest{}
	last := ""
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return m
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Clean(h.Name)
		if path <= last && path != "." && filepath.Dir(path) == filepath.Dir(last) {
			t.Errorf("%q comes after %q", path, last)
		}
		last = path
		e := ext4test.Entry{
			Mode: uint32(h.Mode), UID: uint32(h.Uid), GID: uint32(h.Gid), Mtime: h.ModTime.UTC(),
			Major: uint32(h.Devmajor), Minor: uint32(h.Devminor), Nlink: like[path].Nlink,
		}
		switch h.Typeflag {
		case tar.TypeReg:
			e.Mode |= unix.S_IFREG
			e.Size = h.Size
			s := sha256.New()
			if n, err := io.Copy(s, tr); err != nil || n != h.Size {
				t.Fatalf("%s: %d bytes of %d: %v", path, n, h.Size, err)
			}
			e.Sum = fmt.Sprintf("%x", s.Sum(nil))
		case tar.TypeLink:
			e = m[h.Linkname]
			e.Same = h.Linkname
		case tar.TypeSymlink:
			e.Mode |= unix.S_IFLNK
			e.Target, e.Size = h.Linkname, int64(len(h.Linkname))
		case tar.TypeChar:
			e.Mode |= unix.S_IFCHR
		case tar.TypeBlock:
			e.Mode |= unix.S_IFBLK
		case tar.TypeDir:
			e.Mode |= unix.S_IFDIR
		case tar.TypeFifo:
			e.Mode |= unix.S_IFIFO
		}
		for key, value := range h.PAXRecords {
			if name, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
				if e.Xattrs == nil {
					e.Xattrs = map[string]string{}
				}
				e.Xattrs[name] = value
			}
		}
		m[path] = e
	}
}
