package layers_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"

	"github.com/skerry-app/skerry/ext4/layers"
)

// item is an entry of an archive under construction.
type item struct {
	tar.Header
	body string
}

var epoch = time.Unix(1_700_000_000, 123456789)

func entry(kind byte, name, link, body string, mode int64) item {
	return item{tar.Header{
		Typeflag: kind, Name: name, Linkname: link, Size: int64(len(body)),
		Mode: mode, ModTime: epoch, Format: tar.FormatPAX,
	}, body}
}

func dir(name string) item             { return entry(tar.TypeDir, name, "", "", 0o755) }
func file(name, body string) item      { return entry(tar.TypeReg, name, "", body, 0o644) }
func symlink(name, target string) item { return entry(tar.TypeSymlink, name, target, "", 0o777) }
func hard(name, target string) item    { return entry(tar.TypeLink, name, target, "", 0o644) }
func fifo(name string) item            { return entry(tar.TypeFifo, name, "", "", 0o600) }

// with changes an item.
func (i item) with(change func(*tar.Header)) item {
	change(&i.Header)
	return i
}

// pack makes an archive.
func pack(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, i := range items {
		if err := w.WriteHeader(&i.Header); err != nil {
			t.Fatalf("%s: %v", i.Name, err)
		}
		if _, err := io.WriteString(w, i.body); err != nil {
			t.Fatalf("%s: %v", i.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zip(t testing.TB, p []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// layer is a stored layer with the given bytes; plain is its archive.
func layer(stored, plain []byte) layers.Layer {
	return layers.Layer{
		Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(stored)), nil
		},
		Digest: digest.FromBytes(stored), DiffID: digest.FromBytes(plain), Size: int64(len(stored)),
	}
}

// archives are layers of the archives, stored as they are.
func archives(plain ...[]byte) []layers.Layer {
	var ls []layers.Layer
	for _, p := range plain {
		ls = append(ls, layer(p, p))
	}
	return ls
}

// write makes an image and returns its path.
func write(t testing.TB, ls []layers.Layer, o layers.Options) (string, layers.Summary, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if o.ID == "" {
		o.ID = digest.FromString("image")
	}
	s, err := layers.Write(context.Background(), f, ls, o)
	return path, s, err
}
