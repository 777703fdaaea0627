package inflate_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"io"
	"slices"
	"testing"

	kflate "github.com/klauspost/compress/flate"
)

// FuzzInflate compares with compress/flate what comes of any bytes: the data,
// the verdict and how much was taken.
func FuzzInflate(f *testing.F) {
	for _, s := range slices.Concat(streams, malformed) {
		if stream := s.make(); len(stream) < 1<<16 { // more make fuzzing slow
			f.Add(stream)
		}
	}
	for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
		f.Add(deflate(f, text(3000), level))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		got := compare(t, stream)
		if got.verdict != good {
			return
		}
		// Its verdicts need not be the same, but what is good is good.
		data, err := io.ReadAll(kflate.NewReader(bytes.NewReader(stream)))
		if err != nil || string(data) != got.data {
			t.Fatalf("klauspost/compress/flate: %d bytes, want %d (%v)", len(data), len(got.data), err)
		}
	})
}

// FuzzGzip compares with compress/gzip: any bytes, and files of two members
// with headers made of them.
func FuzzGzip(f *testing.F) {
	for _, m := range files {
		f.Add(m.file, byte(0), byte(0))
	}
	for flags := range byte(32) {
		f.Add([]byte("a few bytes"), flags, flags&3)
	}
	f.Fuzz(func(t *testing.T, data []byte, flags, padding byte) {
		compareGzip(t, data)
		first, second := data[:len(data)/2], data[len(data)/2:]
		file := append(member(first, header(flags, first)), member(second, header(flags>>3, second))...)
		compareGzip(t, append(file, make([]byte, padding)...))
	})
}

// FuzzRoundTrip decodes what compressors make of any bytes.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte{}, byte(0), uint16(0))
	f.Add(text(5000), byte(6), uint16(1000))
	f.Add(noise(5000), byte(1), uint16(3))
	f.Fuzz(func(t *testing.T, data []byte, level byte, cut uint16) {
		// Matches that are long and far away need more than a fuzzer's bytes.
		data = bytes.Repeat(data, 1+int(level>>4))
		at := min(int(cut), len(data))
		for name, stream := range map[string][]byte{
			"compress/flate": deflate(t, data, int(level%12)-2),
			"klauspost":      kdeflate(t, data, int(level%12)-2),
			"stored":         stored(data[:at], data[at:]),
		} {
			mustEqual(t, name, compare(t, stream), outcome{data: string(data), taken: len(stream)})
		}
	})
}

func deflate(t testing.TB, data []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	return closed(t, &b, w, err, data)
}

func kdeflate(t testing.TB, data []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := kflate.NewWriter(&b, level)
	return closed(t, &b, w, err, data)
}

func gzipped(t testing.TB, data []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	return closed(t, &b, w, err, data)
}

// closed returns what a compressor made of data.
func closed(t testing.TB, b *bytes.Buffer, w io.WriteCloser, err error, data []byte) []byte {
	t.Helper()
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
