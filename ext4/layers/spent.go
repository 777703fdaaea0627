package layers

import (
	"fmt"
	"io"
	"sync/atomic"
)

// What an image may have at most, all layers together.
const (
	// MaxBytes is the default for Options.MaxBytes.
	MaxBytes = 128 << 30
	// maxNodes is the number of archive entries and of directories that are
	// made because an entry needs them.
	maxNodes = 2 << 20
	// maxMetadata is how many bytes of names, link targets and extended
	// attributes are kept.
	maxMetadata = 512 << 20
)

// spent counts what is limited. Layers that are read at the same time share
// it.
type spent struct {
	maxBytes        int64
	nodes, metadata atomic.Int64
	archives, files atomic.Int64 // bytes
}

// node takes one more node with so many bytes of metadata into account.
func (s *spent) node(metadata int) error {
	if s.nodes.Add(1) > maxNodes {
		return fmt.Errorf("image has more than %d entries", maxNodes)
	}
	if s.metadata.Add(int64(metadata)) > maxMetadata {
		return fmt.Errorf("image has more than %d MiB of names and attributes", maxMetadata>>20)
	}
	return nil
}

// file takes one more file into account.
func (s *spent) file(size int64) error {
	if size < 0 || size > s.maxBytes || s.files.Add(size) > s.maxBytes {
		return fmt.Errorf("file of %d bytes: files have more than the limit of %d bytes together", size, s.maxBytes)
	}
	return nil
}

// metered is an archive that is taken into account as it is read.
type metered struct {
	r      io.Reader
	spent  *spent
	length int64 // bytes read
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.length += int64(n)
	if m.spent.archives.Add(int64(n)) > m.spent.maxBytes {
		return n, fmt.Errorf("layers unpack to more than the limit of %d bytes", m.spent.maxBytes)
	}
	return n, err
}
