package inflate_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"go/build"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	kgzip "github.com/klauspost/compress/gzip"

	"github.com/skerry-app/skerry/ext4/inflate"
)

// archive is what layers are like: a tar file of a binary and of sources, all
// from the Go that runs the benchmark. There are 32 MiB of the sources.
var archive = sync.OnceValues(func() ([]byte, error) {
	root := build.Default.GOROOT
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(name string) error {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: name[len(root):], Mode: 0o644, Size: int64(len(data))}); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	}
	if err := add(filepath.Join(root, "bin", "go")); err != nil {
		return nil, err
	}
	full := b.Len() + 32<<20
	err := filepath.WalkDir(filepath.Join(root, "src"), func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case b.Len() > full:
			return fs.SkipAll
		case d.Type().IsRegular():
			return add(name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return b.Bytes(), w.Close()
})

// opener is what a decoder of gzip files begins with.
type opener func(*bufio.Reader) (io.Reader, error)

func ours(r *bufio.Reader) (io.Reader, error)      { return inflate.NewGzip(r) }
func klauspost(r *bufio.Reader) (io.Reader, error) { return kgzip.NewReader(r) }
func standard(r *bufio.Reader) (io.Reader, error)  { return gzip.NewReader(r) }

// decode decodes a file of size bytes of data and returns how long it took.
func decode(b *testing.B, open opener, file []byte, size int) time.Duration {
	b.Helper()
	start := time.Now()
	z, err := open(bufio.NewReaderSize(bytes.NewReader(file), 256<<10))
	if err != nil {
		b.Fatal(err)
	}
	n, err := io.Copy(io.Discard, z)
	if err != nil || n != int64(size) {
		b.Fatalf("%d of %d bytes (%v)", n, size, err)
	}
	return time.Since(start)
}

// BenchmarkGzip decodes a tar file that was compressed as gzip(1) does. The
// last one decodes with all in turn, so that what else the machine does is
// shared, and says how many times faster this package is.
func BenchmarkGzip(b *testing.B) {
	data, err := archive()
	if err != nil {
		b.Fatal(err)
	}
	file := gzipped(b, data, 6)
	for _, decoder := range []struct {
		name string
		open opener
	}{{"ours", ours}, {"klauspost", klauspost}, {"standard", standard}} {
		b.Run(decoder.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				decode(b, decoder.open, file, len(data))
			}
		})
	}
	b.Run("in turn", func(b *testing.B) {
		var here, there, std time.Duration
		for b.Loop() {
			here += decode(b, ours, file, len(data))
			there += decode(b, klauspost, file, len(data))
			std += decode(b, standard, file, len(data))
		}
		b.ReportMetric(float64(there)/float64(here), "x-klauspost")
		b.ReportMetric(float64(std)/float64(here), "x-standard")
	})
}
