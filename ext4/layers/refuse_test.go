package layers_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"

	"github.com/skerry-app/skerry/ext4/layers"
)

var layersOptions = layers.Options{}

func stored(p []byte) layers.Layer { return layers.Layer{Open: layer(p, nil).Open} }

func squeeze(t testing.TB, p []byte) []byte {
	t.Helper()
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	return e.EncodeAll(p, nil)
}

// damaged is p with one byte changed, counted from the end when negative.
func damaged(p []byte, at int) []byte {
	p = bytes.Clone(p)
	if at < 0 {
		at += len(p)
	}
	p[at] ^= 0x55
	return p
}

// TestRefuse gives layers that must not become an image, and wants to be told
// why.
func TestRefuse(t *testing.T) {
	one := pack(t, file("etc/passwd", strings.Repeat("root\n", 1000)))
	gz, zst := zip(t, one), squeeze(t, one)
	of := func(items ...item) layers.Layer { return stored(pack(t, items...)) }
	bomb := retyped(pack(t, file("f", strings.Repeat("x", 2<<20)).with(plainHeader)), tar.TypeXHeader)
	wrong := layer(one, one)
	wrong.DiffID = digest.FromString("another")
	typed := layer(one, one)
	typed.MediaType = "application/vnd.oci.image.layer.v1.tar+encrypted"
	cases := map[string]struct {
		layer layers.Layer
		want  string
	}{
		"gzip truncated":               {stored(gz[:len(gz)/2]), "gzip: unexpected EOF"},
		"gzip without its end":         {stored(gz[:len(gz)-8]), "gzip: unexpected EOF"},
		"gzip with a wrong checksum":   {stored(damaged(gz, -8)), "checksum"},
		"gzip with a wrong length":     {stored(damaged(gz, -4)), "gzip"},
		"gzip followed by more":        {stored(append(bytes.Clone(gz), "more than nothing"...)), "no gzip header"},
		"gzip, zeros, and more":        {stored(append(append(bytes.Clone(gz), 0, 0), gz...)), "padding"},
		"zstd truncated":               {stored(zst[:len(zst)/2]), "zstd"},
		"zstd with a wrong checksum":   {stored(damaged(zst, -1)), "zstd"},
		"wrong diff ID":                {wrong, "diff ID"},
		"unknown media type":           {typed, "tar+encrypted"},
		"bzip2":                        {stored([]byte("BZh91AY&SY")), "bzip2"},
		"xz":                           {stored([]byte("\xFD7zXZ\x00\x00")), "xz"},
		"no archive":                   {stored(bytes.Repeat([]byte("no tar at all "), 100)), "tar header"},
		"archive truncated":            {stored(one[:700]), "unexpected EOF"},
		"archive truncated in a file":  {stored(one[:2000]), "unexpected EOF"},
		"header damaged":               {stored(damaged(one, 3)), "tar header"},
		"header too long":              {stored(bomb), "too long"},
		"whiteout of nothing":          {of(file("d/.wh.", "")), "whiteout"},
		"whiteout of the directory":    {of(file("d/.wh..", "")), "whiteout"},
		"whiteout of the parent":       {of(file("d/.wh...", "")), "whiteout"},
		"whiteout as a parent":         {of(file(".wh.d/x", "")), "whiteout"},
		"hard link to nothing":         {of(hard("a", "b")), `entry "a": target "b"`},
		"hard link to a directory":     {of(dir("d"), hard("a", "d")), "is a directory"},
		"hard link to the root":        {of(hard("a", "/")), "target"},
		"links in a circle":            {of(symlink("a", "b"), symlink("b", "a"), file("a/f", "")), "255 symbolic links"},
		"root is a file":               {of(file(".", "")), "root"},
		"name too long":                {of(file(strings.Repeat("n", 256), "")), "256 bytes"},
		"path too long":                {of(file(strings.Repeat("d/", 2100)+"f", "")), "path of"},
		"implied name too long":        {of(symlink("l", strings.Repeat("n", 256)), file("l/f", "")), "256 bytes"},
		"too deep":                     {of(file(strings.Repeat("d/", 1100)+"f", "")), "1024 directories"},
		"link's target too long":       {of(symlink("l", strings.Repeat("t", 4096))), "4096 bytes"},
		"link's target empty":          {of(symlink("l", "")), "0 bytes"},
		"type unknown":                 {of(entry('Z', "z", "", "", 0)), "type 'Z'"},
		"owner negative":               {of(file("f", "").with(func(h *tar.Header) { plainHeader(h); h.Uid = -1 })), "owner -1"},
		"owner of 33 bits":             {of(file("f", "").with(func(h *tar.Header) { h.Gid = 1 << 32 })), "owner"},
		"device that cannot be":        {of(entry(tar.TypeChar, "c", "", "", 0).with(func(h *tar.Header) { plainHeader(h); h.Devmajor = 4096 })), "4096:0"},
		"attribute's value not base64": {of(withXattr("f", "LIBARCHIVE.xattr.user.a", "!")), "user.a"},
		"attribute too large":          {of(withXattr("f", "SCHILY.xattr.user.a", strings.Repeat("x", 65537))), "65537 bytes"},
		"access control list broken":   {of(withXattr("f", "SCHILY.xattr.system.posix_acl_access", "\x02\x00\x00\x00\xff")), "access control list"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.layer.Digest = digest.FromString(name)
			path, _, err := write(t, []layers.Layer{layer(one, one), c.layer}, layersOptions)
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q has no %q", err, c.want)
			}
			if want := "layer 2 of 2 (" + c.layer.Digest.String() + ")"; !strings.Contains(err.Error(), want) {
				t.Errorf("error %q has no %q", err, want)
			}
			left, err := os.ReadDir(filepath.Dir(path))
			if err != nil || len(left) != 1 {
				t.Errorf("%v left beside the image: %v", left, err)
			}
		})
	}
}

func withXattr(name, key, value string) item {
	return file(name, "").with(func(h *tar.Header) { h.PAXRecords = map[string]string{key: value} })
}

// TestLimits unpacks more than is allowed, in both ways of counting.
func TestLimits(t *testing.T) {
	o := layers.Options{MaxBytes: 64 << 10}
	for name, items := range map[string][]item{
		"one file":       {file("f", strings.Repeat("x", 70<<10))},
		"many files":     {file("a", strings.Repeat("x", 40<<10)), file("b", strings.Repeat("x", 40<<10))},
		"many entries":   slicesOf(200, func(i int) item { return fifo(fmt.Sprint(i)) }),
		"rest of stream": {},
	} {
		t.Run(name, func(t *testing.T) {
			p := pack(t, items...)
			if len(items) == 0 {
				p = append(p, make([]byte, 70<<10)...)
			}
			if _, _, err := write(t, archives(zip(t, p)), o); err == nil || !strings.Contains(err.Error(), "limit of 65536 bytes") {
				t.Errorf("error %v does not name the limit", err)
			}
		})
	}
}

// plainHeader makes a header of the form before PAX.
func plainHeader(h *tar.Header) { h.Format, h.ModTime = tar.FormatGNU, time.Unix(1, 0) }

// retyped gives the first entry of an archive another type.
func retyped(p []byte, kind byte) []byte {
	const at, sumAt, sumLen = 156, 148, 8
	sum := 0
	p[at] = kind
	for i, c := range p[:512] {
		if i >= sumAt && i < sumAt+sumLen {
			c = ' '
		}
		sum += int(c)
	}
	copy(p[sumAt:], fmt.Sprintf("%06o\x00 ", sum))
	return p
}

func slicesOf(n int, f func(int) item) []item {
	var items []item
	for i := range n {
		items = append(items, f(i))
	}
	return items
}

// TestCancel ends the context while a layer is being read.
func TestCancel(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	p := pack(t, file("f", strings.Repeat("x", 8<<20)))
	l := layer(p, p)
	closed := false
	l.Open = func(context.Context) (io.ReadCloser, error) {
		return readCloser{bytes.NewReader(p), func() error { closed = true; return nil }}, nil
	}
	o := layers.Options{ID: digest.FromString("x"), Progress: func(done, total int64) {
		if total != int64(len(p)) {
			t.Errorf("total is %d, want %d", total, len(p))
		}
		if done > 1<<20 {
			cancel(why)
		}
	}}
	if _, err := layers.Write(ctx, f, []layers.Layer{l}, o); !errors.Is(err, why) {
		t.Errorf("error %v, want %v", err, why)
	}
	if !closed {
		t.Error("layer was not closed")
	}
}

type readCloser struct {
	io.Reader
	close func() error
}

func (r readCloser) Close() error { return r.close() }

// TestOpenFails passes on why a layer cannot be opened.
func TestOpenFails(t *testing.T) {
	l := layers.Layer{Open: func(context.Context) (io.ReadCloser, error) { return nil, os.ErrNotExist }}
	if _, _, err := write(t, []layers.Layer{l}, layersOptions); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want %v", err, os.ErrNotExist)
	}
}

// TestNoRoom gives more than the file system can hold.
func TestNoRoom(t *testing.T) {
	p := pack(t, file("f", strings.Repeat("x", 5<<20)))
	if _, _, err := write(t, archives(p), layers.Options{Size: 4 << 20}); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("error %v does not say that the file system is full", err)
	}
}
