package layers_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/ext4/ext4test"
	"github.com/skerry-app/skerry/ext4/layers"
)

// acl is an access control list as getxattr(2) gives it: owner rw, user 1000
// r, group r, mask rw, others none.
func acl() string {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range [][3]uint32{{1, 6, 1<<32 - 1}, {2, 4, 1000}, {4, 4, 1<<32 - 1}, {0x10, 6, 1<<32 - 1}, {0x20, 0, 1<<32 - 1}} {
		b = binary.LittleEndian.AppendUint16(b, uint16(e[0]))
		b = binary.LittleEndian.AppendUint16(b, uint16(e[1]))
		b = binary.LittleEndian.AppendUint32(b, e[2])
	}
	return string(b)
}

const capability = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func pax(i item, records map[string]string) item {
	i.PAXRecords = records
	return i
}

// attributed are entries with everything that a header can say, and what the
// kernel must say of them.
func attributed() ([]item, ext4test.Manifest) {
	at := func(i item, s, ns int64) item { i.ModTime = time.Unix(s, ns); return i }
	items := []item{
		{Header: tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o1751, Uid: 7, Gid: 8, ModTime: epoch, Format: tar.FormatPAX}},
		at(file("old", "a"), -1, 500000000),
		at(file("older", "b"), -2147483648, 0),
		at(file("y2040", "c"), 2208988800, 1),
		at(file("y2200", "d"), 7258118400, 999999999),
		file("owner", "e").with(func(h *tar.Header) { h.Uid, h.Gid, h.Mode = 4000000000, 70000, 0o6755 }),
		entry(tar.TypeChar, "null", "", "", 0o666).with(func(h *tar.Header) { h.Devmajor, h.Devminor = 1, 3 }),
		entry(tar.TypeBlock, "nvme", "", "", 0o660).with(func(h *tar.Header) {
			h.Devmajor, h.Devminor, h.Format, h.ModTime = 259, 70000, tar.FormatGNU, time.Unix(1, 0)
		}),
		fifo("pipe"),
		symlink("fast", strings.Repeat("f", 59)), symlink("slow", strings.Repeat("s", 60)), symlink("slowest", strings.Repeat("/x", 2047)+"/"),
		pax(file("cap", "g"), map[string]string{"SCHILY.xattr.security.capability": capability}),
		pax(file("acl", "h"), map[string]string{"SCHILY.xattr.system.posix_acl_access": acl()}).with(func(h *tar.Header) { h.Mode = 0o660 }),
		pax(dir("many"), map[string]string{
			"SCHILY.xattr.user.empty": "", "SCHILY.xattr.user.binary": "\x00\xff=\n", "SCHILY.xattr.user.large": strings.Repeat("v", 3000),
			"SCHILY.xattr.trusted.a": "1", "LIBARCHIVE.xattr.user.%7e": base64.RawStdEncoding.EncodeToString([]byte("libarchive")),
			"SCHILY.xattr.com.apple.quarantine": "dropped", "SCHILY.xattr.trusted.overlay.opaque": "y",
		}),
		pax(file("huge", "i"), map[string]string{"SCHILY.xattr.user.huge": strings.Repeat("h", 60000), "SCHILY.xattr.user.small": "s"}),
		pax(symlink("linked", "cap"), map[string]string{"SCHILY.xattr.security.x": "1", "SCHILY.xattr.user.dropped": "1"}),
		file("large", strings.Repeat("0123456789abcdef", 1<<16)+"end"), file("hole", "start"+strings.Repeat("\x00", 1<<20)+"end"),
		file("zeros", strings.Repeat("\x00", 10000)), file("empty", ""),
	}
	want := ext4test.Manifest{}
	for _, i := range items {
		h := i.Header
		e := ext4test.Entry{
			UID: uint32(h.Uid), GID: uint32(h.Gid), Mtime: h.ModTime.UTC(), Nlink: 1,
			Mode:  uint32(h.Mode) | map[byte]uint32{'0': unix.S_IFREG, '2': unix.S_IFLNK, '3': unix.S_IFCHR, '4': unix.S_IFBLK, '5': unix.S_IFDIR, '6': unix.S_IFIFO}[h.Typeflag],
			Major: uint32(h.Devmajor), Minor: uint32(h.Devminor), Target: h.Linkname, Size: int64(len(h.Linkname) + len(i.body)),
		}
		if h.Typeflag == tar.TypeReg {
			e.Sum = fmt.Sprintf("%x", sha256.Sum256([]byte(i.body)))
		}
		for key, value := range h.PAXRecords {
			name := strings.TrimPrefix(key, "SCHILY.xattr.")
			if name == "user.dropped" || name == "com.apple.quarantine" || name == "trusted.overlay.opaque" {
				continue
			}
			if name == "LIBARCHIVE.xattr.user.%7e" {
				name, value = "user.~", "libarchive"
			}
			if e.Xattrs == nil {
				e.Xattrs = map[string]string{}
			}
			e.Xattrs[name] = value
		}
		if h.Typeflag == tar.TypeDir {
			e.Nlink = 2
		}
		want[filepath.Clean(h.Name)] = e
	}
	root := want["."]
	root.Nlink = 3
	want["."] = root
	return items, want
}

// TestAttributes compares all that stat(2) and getxattr(2) say with the
// headers of the archive.
func TestAttributes(t *testing.T) {
	items, want := attributed()
	for i := range items {
		if items[i].Name == "./" {
			items[i].Name = "."
		}
	}
	// A layer below, with everything else, must not show through.
	path, sum, err := write(t, archives(pack(t, pax(dir("many"), map[string]string{"SCHILY.xattr.user.gone": "1"}), fifo("acl")), pack(t, items...)), layersOptions)
	if err != nil {
		t.Fatal(err)
	}
	const values = 1 // that have an inode of their own
	if sum.Entries != len(items)+2 || int(sum.Inodes) != len(items)+values {
		t.Errorf("summary has %d entries and %d inodes, want %d and %d", sum.Entries, sum.Inodes, len(items)+2, len(items)+values)
	}
	ext4test.Fsck(t, path)
	dir, _ := ext4test.Mount(t, path, "ro")
	if diff := cmp.Diff(want, ext4test.Walk(t, dir)); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "hole"), &st); err != nil || st.Blocks > 4*8 {
		t.Errorf("file with a hole takes %d sectors: %v", st.Blocks, err)
	}
}

// TestStored reads the same archive from every way to store it.
func TestStored(t *testing.T) {
	p := pack(t, file("f", strings.Repeat("contents ", 10000)))
	half := len(p) / 2
	skippable := append([]byte{0x5A, 0x2A, 0x4D, 0x18, 3, 0, 0, 0}, "abc"...)
	cases := map[string]struct {
		stored, plain []byte
		mediaType     string
	}{
		"plain":                     {p, p, "application/vnd.oci.image.layer.v1.tar"},
		"gzip":                      {zip(t, p), p, "application/vnd.docker.image.rootfs.diff.tar.gzip"},
		"gzip, said to be plain":    {zip(t, p), p, "application/vnd.oci.image.layer.v1.tar"},
		"gzip of members":           {append(zip(t, p[:half]), zip(t, p[half:])...), p, ""},
		"gzip with an empty member": {append(append(zip(t, nil), zip(t, p)...), zip(t, nil)...), p, ""},
		"gzip padded":               {append(zip(t, p), make([]byte, 1000)...), p, ""},
		"zstd":                      {squeeze(t, p), p, "application/vnd.oci.image.layer.v1.tar+zstd"},
		"zstd of frames":            {append(append(squeeze(t, p[:half]), skippable...), squeeze(t, p[half:])...), p, ""},
		"zstd, skippable first":     {append(bytes.Clone(skippable), squeeze(t, p)...), p, ""},
		"without an end":            {p[:len(p)-1024], p[:len(p)-1024], ""},
		"with more after the end":   {append(bytes.Clone(p), "junk"...), append(bytes.Clone(p), "junk"...), ""},
	}
	var first []byte
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			l := layer(c.stored, c.plain)
			l.MediaType = c.mediaType
			path, _, err := write(t, []layers.Layer{l}, layersOptions)
			if err != nil {
				t.Fatal(err)
			}
			image, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = image
				ext4test.Fsck(t, path)
			}
			if !bytes.Equal(image, first) {
				t.Error("image differs from the first one")
			}
		})
	}
}

// TestSameBytes writes the same image twice, with its layers one after the
// other and at the same time, and another image of the same layers. The layers
// are large enough to take turns at the blocks several times.
func TestSameBytes(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	below := slicesOf(500, func(i int) item { return file(fmt.Sprint("d/file ", i), strings.Repeat("x", i*100)) })
	above := slicesOf(200, func(i int) item { return file(fmt.Sprint("d/.wh.file ", i*2), "") })
	above = append(above, slicesOf(30, func(i int) item { return file(fmt.Sprint("d/large ", i), strings.Repeat(fmt.Sprint(i), 1<<20)) })...)
	image := func(processors int, o layers.Options) []byte {
		runtime.GOMAXPROCS(processors)
		path, _, err := write(t, archives(pack(t, below...), pack(t, above...), pack(t, file("d/new", strings.Repeat("y", 9000)))), o)
		if err != nil {
			t.Fatal(err)
		}
		ext4test.Fsck(t, path)
		p, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, size := range []int64{0, 128 << 20} {
		one := image(1, layers.Options{ID: digest.FromString("one"), Size: size})
		for _, processors := range []int{2, 8} {
			if !bytes.Equal(one, image(processors, layers.Options{ID: digest.FromString("one"), Size: size})) {
				t.Errorf("size %d: %d processors make another image than one", size, processors)
			}
		}
		if bytes.Equal(one, image(2, layers.Options{ID: digest.FromString("two"), Size: size})) {
			t.Errorf("size %d: two images have the same UUID", size)
		}
	}
}

// TestSparse reads GNU tar's forms of sparse files.
func TestSparse(t *testing.T) {
	gnu, err := exec.LookPath("tar")
	if err != nil {
		t.Skip("GNU tar is not here: install tar")
	}
	src := t.TempDir()
	f, err := os.Create(filepath.Join(src, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range int64(10) {
		if _, err := f.WriteAt([]byte(fmt.Sprint("part ", i)), i*i<<20); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(100 << 20); err != nil {
		t.Fatal(err)
	}
	want := ext4test.Walk(t, src)["sparse"]
	for _, form := range []string{"--format=gnu", "--sparse-version=0.0", "--sparse-version=0.1", "--sparse-version=1.0"} {
		t.Run(form, func(t *testing.T) {
			args := []string{"-C", src, "-cS", form, "sparse"}
			if form != "--format=gnu" {
				args = append([]string{"--format=pax"}, args...)
			}
			p, err := exec.Command(gnu, args...).Output()
			if err != nil || len(p) > 1<<20 {
				t.Fatalf("tar made %d bytes: %v", len(p), err)
			}
			path, sum, err := write(t, archives(p), layersOptions)
			if err != nil {
				t.Fatal(err)
			}
			if sum.Used > 1<<20 {
				t.Errorf("holes were written: %d bytes used", sum.Used)
			}
			ext4test.Fsck(t, path)
			dir, _ := ext4test.Mount(t, path, "ro")
			got := ext4test.Walk(t, dir)["sparse"]
			if got.Size != want.Size || got.Sum != want.Sum {
				t.Errorf("got %d bytes with sum %s, want %d with %s", got.Size, got.Sum, want.Size, want.Sum)
			}
		})
	}
}

// TestHiddenDataIsFree writes a large file that the next layer hides, and
// wants the room back, in the file system and on the host.
func TestHiddenDataIsFree(t *testing.T) {
	body := func(c string) string { return strings.Repeat(c, 4<<20) }
	path, sum, err := write(t, archives(
		pack(t, file("a", body("a")), file("b", body("b")), file("keep", body("k"))),
		pack(t, file(".wh.a", ""), file("b", "small"), file("c", body("c"))),
		pack(t, file(".wh.c", "")),
	), layersOptions)
	if err != nil {
		t.Fatal(err)
	}
	ext4test.Fsck(t, path)
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil || st.Blocks*512 > 5<<20 {
		t.Errorf("image takes %d bytes of disk: %v", st.Blocks*512, err)
	}
	if sum.Used > 5<<20 || sum.Size > 24<<20 || // with the holes that the layers leave each other
		sum.Size != st.Size {
		t.Errorf("%d of %d bytes used, file has %d", sum.Used, sum.Size, st.Size)
	}
	dir, _ := ext4test.Mount(t, path, "ro")
	if got := ext4test.Walk(t, dir)["keep"].Sum; got != fmt.Sprintf("%x", sha256.Sum256([]byte(body("k")))) {
		t.Error("file that stays is damaged")
	}
}
