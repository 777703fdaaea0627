package reader

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestHeader writes headers that need every kind of record, and has archive/tar
// read them.
func TestHeader(t *testing.T) {
	long := strings.Repeat("directory/", 30) + "name"
	for name, h := range map[string]header{
		"plain":      {kind: tarFile, name: "name", mode: 0o4755, uid: 1, gid: 2, modified: time.Unix(1000000000, 0)},
		"100 bytes":  {kind: tarDirectory, name: strings.Repeat("n", 99) + "/", modified: time.Unix(0, 0)},
		"long":       {kind: tarSymlink, name: long, link: long + long, modified: time.Unix(1, 0)},
		"bytes":      {kind: tarLink, name: "\xff\n\x80", link: "\xfe", modified: time.Unix(1, 0)},
		"utf-8":      {kind: tarFIFO, name: "ümläut", modified: time.Unix(1, 0)},
		"large":      {kind: tarFile, name: "n", size: 1 << 40, uid: math.MaxUint32, gid: 1 << 21, modified: time.Unix(1<<34, 1)},
		"device":     {kind: tarChar, name: "n", major: 4095, minor: 1<<20 - 1, modified: time.Unix(8<<30-1, 999999999)},
		"early":      {kind: tarFile, name: "n", modified: time.Unix(-1, 5e8)},
		"earlier":    {kind: tarFile, name: "n", modified: time.Unix(-1<<31, 0)},
		"just early": {kind: tarFile, name: "n", modified: time.Unix(-1, 1)},
		"xattrs":     {kind: tarFile, name: "n", modified: time.Unix(1, 0), xattrs: []record{{"SCHILY.xattr.user.a", "\x00\n=\xff"}, {"SCHILY.xattr.user.b", strings.Repeat("v", 99990)}}},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := h.write(&b); err != nil || b.Len()%tarBlock != 0 {
				t.Fatalf("%d bytes: %v", b.Len(), err)
			}
			got, err := tar.NewReader(io.MultiReader(&b, zeros{})).Next()
			if err != nil {
				t.Fatal(err)
			}
			back := header{
				kind: got.Typeflag, name: got.Name, link: got.Linkname, mode: uint16(got.Mode), uid: uint32(got.Uid), gid: uint32(got.Gid),
				size: got.Size, modified: got.ModTime, major: uint32(got.Devmajor), minor: uint32(got.Devminor),
			}
			for _, x := range h.xattrs {
				back.xattrs = append(back.xattrs, record{x.key, got.PAXRecords[x.key]})
			}
			if diff := cmp.Diff(h, back, cmp.AllowUnexported(header{}, record{})); diff != "" {
				t.Errorf("header (-written +read):\n%s", diff)
			}
		})
	}
}

// TestSparseMap pads the map to whole blocks.
func TestSparseMap(t *testing.T) {
	for _, c := range []struct {
		segments []Segment
		size     int64
		want     string
	}{
		{nil, 70000, "1\n70000\n0\n"},
		{[]Segment{{0, 10}}, 10, "1\n0\n10\n"},
		{[]Segment{{4096, 8192}, {1 << 40, 1<<40 + 1}}, 1<<40 + 5, "3\n4096\n4096\n1099511627776\n1\n1099511627781\n0\n"},
	} {
		got := sparseMap(c.segments, c.size)
		if strings.TrimRight(got, "\x00") != c.want || len(got) != tarBlock {
			t.Errorf("map of %v is %q", c.segments, got)
		}
	}
}

// full fails after so many bytes.
type full int

func (f *full) Write(p []byte) (int, error) {
	if *f -= full(len(p)); *f < 0 {
		return 0, errFull
	}
	return len(p), nil
}

var errFull = errors.New("full")

// TestTarFull has the error of the writer, wherever it comes.
func TestTarFull(t *testing.T) {
	f := opened(t, image(t))
	var whole bytes.Buffer
	if err := f.WriteTar(&whole, nil); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < whole.Len(); n += whole.Len() / 20 {
		room := full(n)
		if err := f.WriteTar(&room, nil); !errors.Is(err, errFull) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}
