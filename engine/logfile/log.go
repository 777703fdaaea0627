package logfile

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Log is the output of one container. Its methods may be called from any
// goroutine.
type Log struct {
	dir   string
	limit int64

	mu      sync.Mutex
	file    *os.File // segment that is written to; nil until the first Append
	current int      // its number, 0 when there is none
	size    int64
	grown   chan struct{} // closed and replaced when there is more to read
	ended   bool          // nothing is being written: readers stop at the end
}

// Open returns the log in dir, which need not exist yet. A record that was cut
// short by a crash is dropped at the first Append. The log is ended until
// Begin is called.
func Open(dir string, segment int64) *Log {
	return &Log{dir: dir, limit: segment, grown: make(chan struct{}), ended: true}
}

// Begin says that output is about to come: from now on followers wait for
// more.
func (l *Log) Begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = false
}

// End says that no more output comes; followers get to the end and stop. The
// log can Begin again.
func (l *Log) End() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.wake()
	return l.closeFile()
}

// Append writes p as one or more records.
func (l *Log) Append(s Stream, p []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.wake()
	now := time.Now()
	for len(p) > 0 {
		n := min(len(p), maxData)
		if err := l.ready(int64(headerSize + n)); err != nil {
			return fmt.Errorf("container log %s: %w", l.dir, err)
		}
		b := append(appendHeader(make([]byte, 0, headerSize+n), s, now, n), p[:n]...)
		if _, err := l.file.WriteAt(b, l.size); err != nil {
			return fmt.Errorf("container log: %w", err) // what was written is not counted and will be overwritten
		}
		l.size += int64(len(b))
		p = p[n:]
	}
	return nil
}

// ready makes sure that a segment is open with room for n bytes.
func (l *Log) ready(n int64) error {
	if l.file == nil {
		if err := l.reopen(); err != nil {
			return err
		}
	}
	if l.size == 0 || l.size+n <= l.limit {
		return nil
	}
	f, err := os.OpenFile(segmentPath(l.dir, l.current+1), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	l.file.Close()
	l.file, l.size = f, 0
	l.current++
	if old := l.current - keptSegments; old > 0 {
		if err := os.Remove(segmentPath(l.dir, old)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (l *Log) reopen() error {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	ns, err := segments(l.dir)
	if err != nil {
		return err
	}
	l.current = 1
	if len(ns) > 0 {
		l.current = ns[len(ns)-1]
	}
	f, err := os.OpenFile(segmentPath(l.dir, l.current), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	size, err := wholeSize(f)
	if err == nil {
		err = f.Truncate(size)
	}
	if err != nil {
		f.Close()
		return err
	}
	l.file, l.size = f, size
	return nil
}

func (l *Log) closeFile() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// wake lets followers look again; mu is held.
func (l *Log) wake() {
	close(l.grown)
	l.grown = make(chan struct{})
}

// position tells a reader how far it may read: the segment that is written to,
// how much of it is whole (-1: to its end), whether more will come, and a
// channel that closes when any of it changes.
func (l *Log) position() (current int, size int64, ended bool, grown <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return 0, -1, l.ended, l.grown
	}
	return l.current, l.size, l.ended, l.grown
}
