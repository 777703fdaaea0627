// Package logfile keeps the output of a container on disk, byte for byte, with
// the stream and time of every piece, so that it can be read again while it
// grows and after the container has stopped.
//
// A log is a directory of numbered segments. A segment is a sequence of
// records: one byte for the stream (1 stdout, 2 stderr), eight bytes of Unix
// time in nanoseconds, four bytes of length, all big-endian, and the data.
// When a segment has grown to its limit a new one begins and only the newest
// two are kept, so that a log has a bound.
package logfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Stream tells stdout from stderr.
type Stream byte

const (
	Stdout Stream = 1
	Stderr Stream = 2
)

const (
	headerSize = 1 + 8 + 4
	// maxData bounds the data of one record; Append splits longer pieces.
	maxData = 1 << 20
	// DefaultSegment is the size in bytes at which a segment is full.
	DefaultSegment = 512 << 20
	// keptSegments is how many segments a log has at most.
	keptSegments = 2
)

// Record is one piece of output.
type Record struct {
	Stream Stream
	Time   time.Time
	Data   []byte
}

var errDamaged = errors.New("damaged record")

func appendHeader(b []byte, s Stream, t time.Time, n int) []byte {
	b = append(b, byte(s))
	b = binary.BigEndian.AppendUint64(b, uint64(t.UnixNano()))
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

func parseHeader(b []byte) (Record, int, error) {
	r := Record{Stream: Stream(b[0]), Time: time.Unix(0, int64(binary.BigEndian.Uint64(b[1:])))}
	n := binary.BigEndian.Uint32(b[9:])
	if r.Stream != Stdout && r.Stream != Stderr || n > maxData {
		return r, 0, errDamaged
	}
	return r, int(n), nil
}

// wholeSize returns how many bytes of a segment are whole records.
func wholeSize(f *os.File) (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	var off int64
	var h [headerSize]byte
	for {
		if _, err := f.ReadAt(h[:], off); err != nil {
			if errors.Is(err, io.EOF) {
				return off, nil
			}
			return 0, err
		}
		_, n, err := parseHeader(h[:])
		if end := off + headerSize + int64(n); err == nil && end <= st.Size() {
			off = end
			continue
		}
		return off, nil // the rest was being written when power or process went
	}
}

const segmentPrefix, segmentSuffix = "output-", ".log"

func segmentPath(dir string, n int) string {
	return filepath.Join(dir, fmt.Sprintf("%s%06d%s", segmentPrefix, n, segmentSuffix))
}

// segments lists the numbers of the segments in dir, oldest first.
func segments(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var ns []int
	for _, e := range entries {
		s, ok := strings.CutPrefix(e.Name(), segmentPrefix)
		if !ok {
			continue
		}
		if s, ok = strings.CutSuffix(s, segmentSuffix); !ok {
			continue
		}
		if n, err := strconv.Atoi(s); err == nil && n > 0 {
			ns = append(ns, n)
		}
	}
	slices.Sort(ns)
	return ns, nil
}
