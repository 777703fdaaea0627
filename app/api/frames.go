package api

import (
	"encoding/binary"
	"io"
	"sync"

	"github.com/moby/moby/api/pkg/stdcopy"
)

const (
	stdcopyStdout = stdcopy.Stdout
	stdcopyStderr = stdcopy.Stderr
)

// frameHeader is the size of a frame's header: the stream, three zeros and the
// payload's length, big-endian.
const frameHeader = 8

// frames multiplexes one of several streams onto a writer, as
// stdcopy.StdCopy reads it. Streams of the same writer share mu.
type frames struct {
	w      io.Writer
	mu     *sync.Mutex
	stream stdcopy.StdType
}

func (f frames) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b := make([]byte, frameHeader, frameHeader+len(p))
	b[0] = byte(f.stream)
	binary.BigEndian.PutUint32(b[4:], uint32(len(p)))
	b = append(b, p...)
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.w.Write(b)
	return min(max(n-frameHeader, 0), len(p)), err
}
