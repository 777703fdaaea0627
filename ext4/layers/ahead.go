package layers

import (
	"io"
	"sync"
)

// What is decompressed ahead of the archive's reader, at most.
const (
	pieces    = 4
	pieceSize = 256 << 10 // bytes
)

// readAhead reads from another reader ahead of its own one, so that a layer is
// decompressed, hashed and written at the same time.
type readAhead struct {
	ready chan piece  // in order; the last one has an error
	spare chan []byte // buffers to be filled
	quit  chan struct{}
	work  sync.WaitGroup
	now   piece  // what is being read
	rest  []byte // of it
}

type piece struct {
	buf []byte
	err error // that came after it
}

// newReadAhead starts to read from r. What has been read goes to hash, whose
// Write never fails, before it can be read here; so hash has all when Read has
// returned io.EOF.
func newReadAhead(r io.Reader, hash io.Writer) *readAhead {
	a := &readAhead{
		ready: make(chan piece), spare: make(chan []byte, pieces), quit: make(chan struct{}),
	}
	for range pieces {
		a.spare <- nil
	}
	raw := make(chan piece)
	a.work.Go(func() {
		defer close(raw)
		a.fill(r, raw)
	})
	a.work.Go(func() {
		for p := range raw {
			hash.Write(p.buf)
			if !a.pass(p, a.ready) {
				return
			}
		}
	})
	return a
}

// fill reads pieces up to the first error.
func (a *readAhead) fill(r io.Reader, raw chan<- piece) {
	for {
		var p piece
		select {
		case p.buf = <-a.spare:
		case <-a.quit:
			return
		}
		if p.buf == nil {
			p.buf = make([]byte, pieceSize)
		}
		n := 0
		for n < pieceSize && p.err == nil {
			var k int
			k, p.err = r.Read(p.buf[n:pieceSize])
			n += k
		}
		p.buf = p.buf[:n]
		if !a.pass(p, raw) || p.err != nil {
			return
		}
	}
}

// pass hands a piece on, unless the reader has been closed.
func (a *readAhead) pass(p piece, to chan<- piece) bool {
	select {
	case to <- p:
		return true
	case <-a.quit:
		return false
	}
}

func (a *readAhead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.now.err != nil {
			return 0, a.now.err
		}
		if a.now.buf != nil {
			a.spare <- a.now.buf[:pieceSize]
		}
		a.now = <-a.ready
		a.rest = a.now.buf
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// Close ends the reading ahead. A Read of the reader below that has begun must
// end by itself.
func (a *readAhead) Close() {
	close(a.quit)
	a.work.Wait()
}
