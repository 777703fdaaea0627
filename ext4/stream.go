package ext4

import (
	"fmt"
	"os"

	"github.com/skerry-app/skerry/ext4/format"
)

const (
	// streamSize is how many bytes are collected to be written at once.
	streamSize = 1 << 20
	// chunkSize is how many bytes of a file are read at once.
	chunkSize = 256 << 10
)

// stream writes blocks and puts those together that follow each other.
type stream struct {
	f     *os.File
	buf   []byte // of streamSize, nil as long as there was nothing to write
	fill  int    // bytes in buf that wait to be written
	start uint64 // block of the first of them
}

// room returns chunkSize bytes to fill in and to put. What is put from there
// and follows the last block is not copied.
func (s *stream) room() ([]byte, error) {
	s.begin()
	if len(s.buf)-s.fill < chunkSize {
		if err := s.flush(); err != nil {
			return nil, err
		}
	}
	return s.buf[s.fill : s.fill+chunkSize], nil
}

// put writes p, whole blocks and at most chunkSize, from a block on.
func (s *stream) put(block uint64, p []byte) error {
	s.begin()
	if block != s.start+uint64(s.fill/format.BlockSize) || s.fill+len(p) > len(s.buf) {
		if err := s.flush(); err != nil {
			return err
		}
		s.start = block
	}
	copy(s.buf[s.fill:], p) // may overlap: p is in room, at this place or further up
	s.fill += len(p)
	return nil
}

func (s *stream) begin() {
	if s.buf == nil {
		s.buf = make([]byte, streamSize)
	}
}

// flush writes what waits.
func (s *stream) flush() error {
	if s.fill == 0 {
		return nil
	}
	if _, err := s.f.WriteAt(s.buf[:s.fill], int64(s.start)*format.BlockSize); err != nil {
		return fmt.Errorf("write blocks: %w", err)
	}
	s.start += uint64(s.fill / format.BlockSize)
	s.fill = 0
	return nil
}
