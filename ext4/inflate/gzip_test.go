package inflate_test

import (
	"bufio"
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/skerry-app/skerry/ext4/inflate"
)

var (
	one = member([]byte("one"), header(0, nil))
	two = member([]byte("two"), header(0, nil))
)

// with returns a copy of file with some bytes put at a place.
func with(file []byte, at int, p ...byte) []byte {
	file = slices.Clone(file)
	copy(file[at:], p)
	return file
}

// files are the corner cases of RFC 1952.
var files = []struct {
	name string
	file []byte
	want outcome // without what is taken
}{
	{"one member", one, outcome{data: "one"}},
	{"two members", slices.Concat(one, two), outcome{data: "onetwo"}},
	{"empty members", slices.Concat(member(nil, header(0, nil)), one, member(nil, header(0, nil)), two), outcome{data: "onetwo"}},
	{"zeros at the end", slices.Concat(one, two, make([]byte, 5000)), outcome{data: "onetwo"}},
	{"one zero at the end", slices.Concat(one, []byte{0}), outcome{data: "one"}},
	{"nothing", nil, outcome{verdict: "EOF"}},

	{"all fields", member([]byte("data"), header(31, []byte("field"))), outcome{data: "data"}},
	{"all fields, empty", member([]byte("data"), header(31, nil)), outcome{data: "data"}},
	{"an extra field as long as can be", member([]byte("data"), header(4|2, noise(0xFFFF))), outcome{data: "data"}},
	{"a name as long as can be", member([]byte("data"), header(8, bytes.Repeat([]byte("n"), 511))), outcome{data: "data"}},
	{"a name that is longer", member([]byte("data"), header(8, bytes.Repeat([]byte("n"), 512))), outcome{verdict: corrupt}},
	{"a comment that is longer", member([]byte("data"), header(16, bytes.Repeat([]byte("n"), 512))), outcome{verdict: corrupt}},
	{"fields in the second header", slices.Concat(one, member([]byte("data"), header(31, []byte("field")))), outcome{data: "onedata"}},

	{"another first byte", with(one, 0, 0x1E), outcome{verdict: corrupt}},
	{"another second byte", with(one, 1, 0x8C), outcome{verdict: corrupt}},
	{"another compression", with(one, 2, 7), outcome{verdict: corrupt}},
	{"the first reserved flag", with(one, 3, 1<<5), outcome{verdict: corrupt}},
	{"the last reserved flag", with(one, 3, 1<<7), outcome{verdict: corrupt}},
	{"a reserved flag in the second header", slices.Concat(one, with(two, 3, 1<<6)), outcome{data: "one", verdict: corrupt}},
	{"another checksum of the header", with(member([]byte("data"), header(2, nil)), 10, 0, 0), outcome{verdict: corrupt}},
	{"another checksum of the data", with(one, len(one)-8, 1), outcome{data: "one", verdict: corrupt}},
	{"another size of the data", with(one, len(one)-4, 4), outcome{data: "one", verdict: corrupt}},
	{"a corrupt block", with(one, 10, 7), outcome{verdict: corrupt}},
	{"more after zeros", slices.Concat(one, make([]byte, 10), two), outcome{data: "one", verdict: corrupt}},
	{"garbage at the end", slices.Concat(one, []byte("what is this?")), outcome{data: "one", verdict: corrupt}},
	{"little garbage at the end", slices.Concat(one, []byte("what?")), outcome{data: "one", verdict: early}},
	{"zeros alone", make([]byte, 20), outcome{verdict: corrupt}},
}

func TestGzip(t *testing.T) {
	for _, f := range files {
		t.Run(f.name, func(t *testing.T) {
			got := compareGzip(t, f.file)
			if f.want.verdict == good {
				f.want.taken = len(f.file)
			}
			mustEqual(t, "all", got, f.want)
		})
	}
}

// TestGzipEndsEarly cuts a file of two members at every place.
func TestGzipEndsEarly(t *testing.T) {
	first := member([]byte("data"), header(31, []byte("field")))
	file := slices.Concat(first, first)
	for n := range file {
		got := compareGzip(t, file[:n])
		switch {
		case n == 0:
			mustEqual(t, "nothing", got, outcome{verdict: "EOF"})
		case n == len(first):
			mustEqual(t, "one member", got, outcome{data: "data", taken: n})
		case got.verdict != early || !strings.HasPrefix("datadata", got.data):
			t.Fatalf("%d bytes: %v", n, got)
		}
	}
}

func TestGzipLevels(t *testing.T) {
	for _, data := range [][]byte{nil, text(1), text(4e5), noise(3e5), make([]byte, 1e6)} {
		for level := -2; level <= 9; level++ {
			file := gzipped(t, data, level)
			mustEqual(t, "file", compareGzip(t, file), outcome{data: string(data), taken: len(file)})
		}
	}
}

// TestMember reads members apart, with what is no gzip file in between.
func TestMember(t *testing.T) {
	file := slices.Concat(one, []byte("between"), two, []byte("after"))
	for name, in := range map[string]interface {
		io.Reader
		io.ByteReader
	}{
		"buffered": bufio.NewReaderSize(bytes.NewReader(file), 16),
		"bytes":    bytes.NewReader(file),
	} {
		g := new(inflate.Gzip)
		for _, want := range []struct{ data, after string }{{"one", "between"}, {"two", "after"}} {
			if err := g.Reset(in); err != nil {
				t.Fatal(name, err)
			}
			g.Multistream(false)
			data, err := io.ReadAll(g)
			if err != nil || string(data) != want.data || g.InputOffset() != int64(len(one)) {
				t.Fatalf("%s: %q with %d bytes (%v), want %q with %d", name, data, g.InputOffset(), err, want.data, len(one))
			}
			after := make([]byte, len(want.after))
			if _, err := io.ReadFull(in, after); err != nil || string(after) != want.after {
				t.Fatalf("%s: %q follows (%v), want %q", name, after, err, want.after)
			}
		}
	}
	g, err := inflate.NewGzip(struct{ io.Reader }{bytes.NewReader(file)})
	if err != nil {
		t.Fatal(err)
	}
	g.Multistream(false)
	if data, err := io.ReadAll(g); err != nil || string(data) != "one" {
		t.Fatalf("%q (%v)", data, err)
	}
	if after, err := io.ReadAll(g.Buffered()); err != nil || !bytes.Equal(after, file[len(one):]) {
		t.Fatalf("%q is ahead (%v)", after, err)
	}
}

// TestResetGzip goes on after a single member with all of a file.
func TestResetGzip(t *testing.T) {
	g := new(inflate.Gzip)
	for range 2 {
		file := slices.Concat(one, two)
		in := bytes.NewReader(file)
		if err := g.Reset(in); err != nil {
			t.Fatal(err)
		}
		mustEqual(t, "file", drain(t, g, in, file), outcome{data: "onetwo", taken: len(file)})
		if err := g.Reset(bytes.NewReader(file)); err != nil {
			t.Fatal(err)
		}
		g.Multistream(false)
		if n, err := g.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
}

// TestGzipInputFails has the input fail everywhere in a file.
func TestGzipInputFails(t *testing.T) {
	failure := errors.New("failure")
	first := member([]byte("data"), header(31, []byte("field")))
	file := slices.Concat(first, first, make([]byte, 5))
	for n := range file {
		g, err := inflate.NewGzip(io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(failure)))
		var data []byte
		if err == nil {
			data, err = io.ReadAll(g)
		}
		if err != failure || !strings.HasPrefix("datadata", string(data)) {
			t.Fatalf("%d bytes: %q, %v", n, data, err)
		}
	}
}

// member makes a member of a gzip file.
func member(data, header []byte) []byte {
	var w bits
	w.raw(header...)
	w.raw(stored(data)...)
	w.put(uint64(crc32.ChecksumIEEE(data)), 32)
	w.put(uint64(len(data)), 32)
	return w.bytes
}

// header makes a header with the fields its flags are for, of which the
// contents are some bytes of data.
func header(flags byte, data []byte) []byte {
	var w bits
	w.raw(0x1F, 0x8B, 8, flags, 1, 2, 3, 4, 0, 255)
	if flags&4 != 0 {
		extra := data[:min(len(data), 0xFFFF)]
		w.put(uint64(len(extra)), 16)
		w.raw(extra...)
	}
	for _, flag := range []byte{8, 16} {
		if flags&flag != 0 {
			name, _, _ := bytes.Cut(data, []byte{0})
			w.raw(name...)
			w.raw(0)
		}
	}
	if flags&2 != 0 {
		w.put(uint64(crc32.ChecksumIEEE(w.bytes)&0xFFFF), 16)
	}
	return w.bytes
}
