package inflate_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/skerry-app/skerry/ext4/inflate"
)

// outcome is what comes of a stream.
type outcome struct {
	data    string
	verdict string
	taken   int // bytes of the input; only if all is well
}

const (
	good    = ""
	early   = "ends early"
	corrupt = "corrupt"
)

// judge makes one verdict of errors that mean the same.
func judge(err error) string {
	var offset flate.CorruptInputError
	switch {
	case err == nil:
		return good
	case err == io.ErrUnexpectedEOF:
		return early
	case errors.Is(err, inflate.ErrCorrupt), errors.As(err, &offset), err == gzip.ErrHeader, err == gzip.ErrChecksum:
		return corrupt
	}
	return err.Error()
}

// kinds are the kinds of inputs that are read in different ways.
var kinds = map[string]func(data []byte) io.Reader{
	"plain":      func(data []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(data)} },
	"bytes":      func(data []byte) io.Reader { return bytes.NewReader(data) },
	"buffered":   func(data []byte) io.Reader { return bufio.NewReader(bytes.NewReader(data)) },
	"little":     func(data []byte) io.Reader { return bufio.NewReaderSize(bytes.NewReader(data), 16) },
	"whole":      func(data []byte) io.Reader { return bufio.NewReaderSize(bytes.NewReader(data), len(data)) },
	"pieces":     func(data []byte) io.Reader { return pieces{bytes.NewReader(data), 18} },
	"just under": func(data []byte) io.Reader { return bufio.NewReaderSize(bytes.NewReader(data), len(data)-1) },
}

// pieces is a reader that gives at most so many bytes at once.
type pieces struct {
	io.Reader
	size int
}

func (p pieces) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), p.size)]) }

// decoder is what Reader and Gzip have in common.
type decoder interface {
	io.Reader
	io.WriterTo
	Next() ([]byte, error)
	InputOffset() int64
	Buffered() io.Reader
}

// drain decodes all of an input and checks that what follows is where it
// should be.
func drain(t testing.TB, z decoder, in io.Reader, stream []byte) outcome {
	t.Helper()
	var data bytes.Buffer
	_, err := z.WriteTo(&data)
	got := outcome{data: data.String(), verdict: judge(err)}
	if err != nil {
		return got
	}
	got.taken = int(z.InputOffset())
	after, err := io.ReadAll(io.MultiReader(z.Buffered(), in))
	if err != nil || !bytes.Equal(after, stream[got.taken:]) {
		t.Fatalf("%d of %d bytes were taken, but %d follow (%v)", got.taken, len(stream), len(after), err)
	}
	if n, err := z.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("after the end: %d, %v", n, err)
	}
	return got
}

// reference is what compress/flate makes of a stream.
func reference(stream []byte) outcome {
	in := bytes.NewReader(stream)
	data, err := io.ReadAll(flate.NewReader(in))
	want := outcome{data: string(data), verdict: judge(err)}
	if err == nil {
		want.taken = len(stream) - in.Len()
	}
	return want
}

// readers are used over and over, as they are meant to be.
var (
	readers = sync.Pool{New: func() any { return new(inflate.Reader) }}
	gzips   = sync.Pool{New: func() any { return new(inflate.Gzip) }}
)

// compare has a stream decoded from all kinds of inputs, into a Reader that
// has been used before, and compares with compress/flate.
func compare(t testing.TB, stream []byte) outcome {
	t.Helper()
	want := reference(stream)
	z := readers.Get().(*inflate.Reader)
	defer readers.Put(z)
	for kind, open := range kinds {
		in := open(stream)
		z.Reset(in)
		mustEqual(t, kind, drain(t, z, in, stream), want)
	}
	return want
}

// referenceGzip is what compress/gzip makes of a file, with what the package's
// documentation says is different.
func referenceGzip(file []byte) outcome {
	in := bytes.NewReader(file)
	var z gzip.Reader
	var data []byte
	for {
		rest := file[len(file)-in.Len():]
		if len(rest) < len(file) {
			if zeros := len(rest) - len(bytes.TrimLeft(rest, "\x00")); zeros == len(rest) {
				return outcome{data: string(data), taken: len(file)}
			} else if zeros > 0 {
				return outcome{data: string(data), verdict: corrupt}
			}
		}
		err := z.Reset(in)
		if len(rest) >= 10 && rest[3]&0xE0 != 0 {
			err = gzip.ErrHeader
		}
		if err != nil {
			return outcome{data: string(data), verdict: judge(err)}
		}
		z.Multistream(false)
		more, err := io.ReadAll(&z)
		data = append(data, more...)
		if err != nil {
			return outcome{data: string(data), verdict: judge(err)}
		}
	}
}

// compareGzip is compare for files.
func compareGzip(t testing.TB, file []byte) outcome {
	t.Helper()
	want := referenceGzip(file)
	g := gzips.Get().(*inflate.Gzip)
	defer gzips.Put(g)
	for kind, open := range kinds {
		in := open(file)
		if err := g.Reset(in); err != nil {
			mustEqual(t, kind, outcome{verdict: judge(err)}, want)
			continue
		}
		mustEqual(t, kind, drain(t, g, in, file), want)
	}
	return want
}

func mustEqual(t testing.TB, what string, got, want outcome) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %s, want %s", what, got, want)
	}
}

func (o outcome) String() string {
	if len(o.data) > 64 {
		return fmt.Sprintf("%d bytes that end in %q, verdict %q, %d taken", len(o.data), o.data[len(o.data)-64:], o.verdict, o.taken)
	}
	return fmt.Sprintf("%q, verdict %q, %d taken", o.data, o.verdict, o.taken)
}
