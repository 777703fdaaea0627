package reader_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/ext4/format"
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
