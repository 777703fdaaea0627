package inflate_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/skerry-app/skerry/ext4/inflate"
)

// TestCompressors decodes what compressors make of all sorts of data.
func TestCompressors(t *testing.T) {
	for _, data := range [][]byte{nil, text(1), text(1000), text(4e5), noise(1e5), make([]byte, 4e5)} {
		for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
			for name, stream := range map[string][]byte{
				"compress/flate": deflate(t, data, level),
				"klauspost":      kdeflate(t, data, level),
			} {
				mustEqual(t, name, compare(t, append(stream, "more"...)), outcome{data: string(data), taken: len(stream)})
			}
		}
	}
}

// TestEndsEarly cuts streams everywhere.
func TestEndsEarly(t *testing.T) {
	whole := [][]byte{deflate(t, text(3000), 6), deflate(t, text(300), -2)}
	for _, s := range streams {
		if stream := s.make(); len(stream) < 1000 {
			whole = append(whole, stream)
		}
	}
	for _, stream := range whole {
		for n := range stream {
			if got := compare(t, stream[:n]); got.verdict != early {
				t.Fatalf("%d of %d bytes: %v", n, len(stream), got)
			}
		}
	}
}

// TestFlips turns every bit of some streams around: what comes of it is what
// compress/flate makes of it.
func TestFlips(t *testing.T) {
	whole := [][]byte{deflate(t, text(600), 6), deflate(t, text(300), -2)}
	for _, s := range streams {
		if stream := s.make(); len(stream) < 300 {
			whole = append(whole, stream)
		}
	}
	for _, stream := range whole {
		for bit := range 8 * len(stream) {
			stream[bit/8] ^= 1 << (bit % 8)
			compare(t, stream)
			stream[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// TestInputs reads from readers that give little at once, or data together
// with the end.
func TestInputs(t *testing.T) {
	data := text(1e5)
	stream := deflate(t, data, 6)
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"one byte":      iotest.OneByteReader,
		"half":          iotest.HalfReader,
		"data with EOF": iotest.DataErrReader,
	} {
		for buffered, buffer := range map[string]func(io.Reader) io.Reader{
			"":          func(r io.Reader) io.Reader { return r },
			", buffers": func(r io.Reader) io.Reader { return bufio.NewReaderSize(r, 16) },
		} {
			in := buffer(wrap(bytes.NewReader(stream)))
			got := drain(t, inflate.NewReader(in), in, stream)
			mustEqual(t, name+buffered, got, outcome{data: string(data), taken: len(stream)})
		}
	}
}

// TestPieces reads pieces around the size from which on they are decoded fast,
// by a code of which the end is longest. The bits that are asked for because of
// that are then left over from the piece before.
func TestPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for size := 1; size < 50; size++ {
		var w bits
		var want strings.Builder
		dynamic(&w, deepLit, deepDist)
		lits := deepLit.values()
		for range 3000 {
			c := 'a' + min(r.IntN(13), r.IntN(13), r.IntN(13), r.IntN(13))
			w.huff(lits[c], deepLit[c])
			want.WriteByte(byte(c))
		}
		deepLit.put(&w, 256)
		stream := append(w.bytes, noise(30)...)
		in := pieces{bytes.NewReader(stream), size}
		got := drain(t, inflate.NewReader(in), in, stream)
		mustEqual(t, strconv.Itoa(size), got, outcome{data: want.String(), taken: len(w.bytes)})
	}
}

// TestInputFails has the input fail after some of a stream. The error is
// returned as it is, after what compress/flate decodes until then.
func TestInputFails(t *testing.T) {
	failure := errors.New("failure")
	stream := deflate(t, text(2000), 6)
	failing := func(n int) io.Reader {
		return io.MultiReader(bytes.NewReader(stream[:n]), iotest.ErrReader(failure))
	}
	for n := range stream {
		want, err := io.ReadAll(flate.NewReader(failing(n)))
		if err != failure {
			t.Fatal(err)
		}
		for name, in := range map[string]io.Reader{
			"plain":           failing(n),
			"data with error": iotest.DataErrReader(failing(n)),
			"buffered":        bufio.NewReader(failing(n)),
			"bytes":           struct{ *bufio.Reader }{bufio.NewReader(failing(n))},
		} {
			z := inflate.NewReader(in)
			got, err := io.ReadAll(z)
			if err != failure || !bytes.Equal(got, want) {
				t.Fatalf("%s, %d bytes: %d bytes of data (%v), want %d", name, n, len(got), err, len(want))
			}
			if _, err := z.Next(); err != failure {
				t.Fatalf("the error did not stay: %v", err)
			}
		}
	}
}

// TestReset goes on with a decoder in the midst of a stream or after an error.
func TestReset(t *testing.T) {
	stream := deflate(t, text(1e6), 6)
	var z inflate.Reader
	for _, bad := range [][]byte{stream, stream[:len(stream)/2], malformed[2].make(), nil} {
		z.Reset(bytes.NewReader(bad))
		for range 2 {
			_, _ = io.CopyN(io.Discard, &z, 1000)
		}
		in := bytes.NewReader(stream)
		z.Reset(in)
		mustEqual(t, "after reset", drain(t, &z, in, stream), outcome{data: string(text(1e6)), taken: len(stream)})
	}
}

// TestMix calls all methods that decode in turn.
func TestMix(t *testing.T) {
	data := text(1e6)
	file := gzipped(t, data, 6)
	g, err := inflate.NewGzip(bufio.NewReader(bytes.NewReader(file)))
	if err != nil {
		t.Fatal(err)
	}
	for name, z := range map[string]decoder{
		"Reader": inflate.NewReader(bytes.NewReader(deflate(t, data, 6))),
		"Gzip":   g,
	} {
		var got bytes.Buffer
		for i := range 3 {
			if _, err := io.CopyN(&got, struct{ io.Reader }{z}, 1000+int64(i)); err != nil {
				t.Fatal(name, err)
			}
			if n, err := z.Read(nil); n != 0 || err != nil {
				t.Fatal(name, n, err)
			}
			p, err := z.Next()
			if err != nil {
				t.Fatal(name, err)
			}
			got.Write(p)
		}
		if _, err := z.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), data) {
			t.Fatalf("%s: %d bytes, want %d (%v)", name, got.Len(), len(data), err)
		}
	}
}

// short is a writer that takes less than it is given.
type short struct{}

func (short) Write(p []byte) (int, error) { return len(p) - 1, nil }

func TestWriteToFails(t *testing.T) {
	stream := deflate(t, text(100), 6)
	if n, err := inflate.NewReader(bytes.NewReader(stream)).WriteTo(short{}); n != 99 || err != io.ErrShortWrite {
		t.Fatal(n, err)
	}
	failure := errors.New("failure")
	_, w := io.Pipe()
	_ = w.CloseWithError(failure)
	r, w := io.Pipe()
	_ = r.CloseWithError(failure)
	if n, err := inflate.NewReader(bytes.NewReader(stream)).WriteTo(w); n != 0 || err != failure {
		t.Fatal(n, err)
	}
}

// TestFlush has data come through that was flushed, with no more input yet.
func TestFlush(t *testing.T) {
	r, w := io.Pipe()
	go func() {
		z, _ := flate.NewWriter(w, 6)
		for _, s := range []string{"hello ", "world"} {
			_, _ = z.Write([]byte(s))
			_ = z.Flush()
		}
		_ = w.CloseWithError(errors.New("no more"))
	}()
	z := inflate.NewReader(r)
	for _, want := range []string{"hello ", "world"} {
		if p, err := z.Next(); err != nil || string(p) != want {
			t.Fatalf("%q (%v), want %q", p, err, want)
		}
	}
	if _, err := z.Next(); err == nil || err.Error() != "no more" {
		t.Fatal(err)
	}
}

// TestBlocks has blocks put together that are not flushed.
func TestBlocks(t *testing.T) {
	var w bits
	for i, s := range []string{"o", "ne", "", "tw", "o"} {
		if s == "" {
			block(&w, false, 0)
			w.raw(0, 0, 0xFF, 0xFF)
			continue
		}
		block(&w, i == 4, 1)
		for _, c := range s {
			fixedLit.put(&w, int(c))
		}
		fixedLit.put(&w, 256)
	}
	z := inflate.NewReader(bytes.NewReader(w.bytes))
	for _, want := range []string{"one", "two"} {
		if p, err := z.Next(); err != nil || string(p) != want {
			t.Fatalf("%q (%v), want %q", p, err, want)
		}
	}
}

// TestErrors looks for what is wrong, and where, in what errors say.
func TestErrors(t *testing.T) {
	_, err := inflate.NewReader(strings.NewReader("\x07")).Next()
	if want := "corrupt data before byte 1: a block of the reserved kind"; err == nil || err.Error() != want {
		t.Fatalf("%v, want %s", err, want)
	}
	_, err = inflate.NewGzip(strings.NewReader("\x1F\x8B\x08\x80123456"))
	if want := "corrupt data before byte 10: a header with reserved flags"; err == nil || err.Error() != want {
		t.Fatalf("%v, want %s", err, want)
	}
}

// TestAllocations decodes many blocks of all kinds with what there is already.
func TestAllocations(t *testing.T) {
	file := bytes.Repeat(gzipped(t, text(3e5), 6), 3)
	file = append(file, gzipped(t, noise(1e5), 6)...)
	file = append(file, gzipped(t, text(50), 6)...)
	in := bytes.NewReader(file)
	buffered := bufio.NewReaderSize(in, 4096)
	g := new(inflate.Gzip)
	for name, r := range map[string]io.Reader{"plain": struct{ io.Reader }{in}, "buffered": buffered} {
		n := testing.AllocsPerRun(10, func() {
			in.Reset(file)
			buffered.Reset(in)
			if err := g.Reset(r); err != nil {
				t.Fatal(err)
			}
			if n, err := g.WriteTo(io.Discard); err != nil || n < 1e6 {
				t.Fatal(n, err)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
