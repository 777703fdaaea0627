package inflate

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/flate"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	kflate "github.com/klauspost/compress/flate"
)

var corpus = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	root := runtime.GOROOT()
	add := func(p string) {
		data, err := os.ReadFile(p)
		if err != nil {
			return
		}
		w.WriteHeader(&tar.Header{Name: p, Size: int64(len(data)), Mode: 0o644})
		w.Write(data)
	}
	add(filepath.Join(root, "bin/go"))
	filepath.WalkDir(filepath.Join(root, "src"), func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && b.Len() < 48<<20 {
			add(p)
		}
		return nil
	})
	w.Close()
	return b.Bytes()
})

func BenchmarkX(b *testing.B) {
	data := corpus()
	var z bytes.Buffer
	w, _ := flate.NewWriter(&z, 6)
	w.Write(data)
	w.Close()
	b.Logf("%d -> %d", len(data), z.Len())
	var t [3]time.Duration
	best := [3]time.Duration{1 << 60, 1 << 60, 1 << 60}
	r := NewReader(nil)
	kr := kflate.NewReader(bytes.NewReader(nil))
	sr := flate.NewReader(bytes.NewReader(nil))
	br := bufio.NewReaderSize(nil, 256<<10)
	for b.Loop() {
		for i := range t {
			s := time.Now()
			br.Reset(bytes.NewReader(z.Bytes()))
			switch i {
			case 0:
				r.Reset(br)
				n := 0
				for {
					p, err := r.Next()
					if err == io.EOF {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					n += len(p)
				}
				if n != len(data) {
					b.Fatal(n)
				}
			case 1:
				kr.(kflate.Resetter).Reset(br, nil)
				io.Copy(io.Discard, struct{ io.Reader }{kr})
			case 2:
				sr.(flate.Resetter).Reset(br, nil)
				io.Copy(io.Discard, struct{ io.Reader }{sr})
			}
			d := time.Since(s)
			t[i] += d
			best[i] = min(best[i], d)
		}
	}
	b.ReportMetric(float64(t[1])/float64(t[0]), "x-klauspost")
	b.ReportMetric(float64(t[2])/float64(t[0]), "x-std")
	b.ReportMetric(float64(best[1])/float64(best[0]), "best-x-klauspost")
	for i, n := range []string{"ours", "klauspost", "std"} {
		b.ReportMetric(float64(len(data))/1e6/best[i].Seconds(), n+"-MB/s")
	}
}
