package reader

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/skerry-app/skerry/ext4/format"
)

// logged says where the journal has the contents of a block.
type logged struct {
	at      uint64 // block of the image
	escaped bool   // see format.JournalTag
}

// cache keeps blocks of metadata by the end of their number. What it has is
// never changed.
type cache struct {
	sync.Mutex
	slots [cachedBlocks]struct {
		number uint64
		data   []byte
	}
}

// block returns a block of metadata, which the caller must not change.
func (f *FS) block(number uint64) ([]byte, error) {
	slot := &f.cache.slots[number%cachedBlocks]
	f.cache.Lock()
	if slot.number == number && slot.data != nil {
		defer f.cache.Unlock()
		return slot.data, nil
	}
	f.cache.Unlock()
	b := make([]byte, f.super.blockSize)
	if err := f.read(b, number, 0); err != nil {
		return nil, err
	}
	f.cache.Lock()
	defer f.cache.Unlock()
	slot.number, slot.data = number, b
	return b, nil
}

// read fills p from the blocks from the given one on, after skip bytes of it.
func (f *FS) read(p []byte, block uint64, skip int) error {
	size := f.super.blockSize
	last := block + uint64(skip+len(p)-1)/uint64(size)
	if last >= f.super.blocks || last < block {
		return corrupt("block %d is beyond the last of %d", last, f.super.blocks)
	}
	if len(f.replay) == 0 {
		return f.readImage(p, block, skip)
	}
	for len(p) > 0 {
		n := min(len(p), size-skip)
		newer, ok := f.replay[block]
		if !ok {
			newer.at = block
		}
		if err := f.readImage(p[:n], newer.at, skip); err != nil {
			return err
		}
		if newer.escaped {
			var magic [4]byte
			binary.BigEndian.PutUint32(magic[:], format.JournalMagic)
			copy(p[:n], magic[min(skip, len(magic)):])
		}
		p, block, skip = p[n:], block+1, 0
	}
	return nil
}

// readImage is read without the journal.
func (f *FS) readImage(p []byte, block uint64, skip int) error {
	n, err := f.image.ReadAt(p, int64(block)*int64(f.super.blockSize)+int64(skip))
	if n == len(p) {
		return nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read block %d: %w", block, err)
}
