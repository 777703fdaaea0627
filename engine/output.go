package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skerry-app/skerry/engine/vm"
)

// Bounds of what happens to output once its process has ended.
const (
	// quietTimeout is how long a stream may stay open without a byte: some
	// other process that inherited it may never close it.
	quietTimeout = 3 * time.Second
	// stuckTimeout is how long clients may take no byte at all of what is
	// still there for them.
	stuckTimeout = 30 * time.Second
	// copyBuffer is the size of the pieces in which output is moved.
	copyBuffer = 256 << 10
)

// outputs copies a process's output streams, each to its own function, until
// they end.
type outputs struct {
	streams []*outputStream
	pumps   sync.WaitGroup
	moved   atomic.Int64 // bytes taken so far
}

// outputStream is a stream whose reads are bounded once its process has ended.
type outputStream struct {
	vm.Conn
	ended atomic.Bool
}

func (s *outputStream) Read(p []byte) (int, error) {
	if s.ended.Load() {
		s.SetReadDeadline(time.Now().Add(quietTimeout))
	}
	return s.Conn.Read(p)
}

// pump starts copying from a stream, which may be nil, to take.
func (o *outputs) pump(from vm.Conn, take func([]byte)) {
	if from == nil {
		return
	}
	s := &outputStream{Conn: from}
	o.streams = append(o.streams, s)
	o.pumps.Go(func() {
		defer s.Close()
		buf := make([]byte, copyBuffer)
		for {
			n, err := s.Read(buf)
			if n > 0 {
				take(buf[:n])
				o.moved.Add(int64(n))
			}
			if err != nil {
				return
			}
		}
	})
}

// drain is called when the process has ended. It returns when its output has
// been taken to the end, or when that is no longer to be expected, or with
// ctx.
func (o *outputs) drain(ctx context.Context) {
	for _, s := range o.streams {
		s.ended.Store(true)
		s.SetReadDeadline(time.Now().Add(quietTimeout)) // for a Read that waits already
	}
	done := make(chan struct{})
	go func() {
		o.pumps.Wait()
		close(done)
	}()
	for before := int64(-1); before != o.moved.Load(); {
		before = o.moved.Load()
		select {
		case <-done:
			return
		case <-ctx.Done():
			return
		case <-time.After(stuckTimeout):
		}
	}
}
