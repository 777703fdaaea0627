package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// swapHeader is what swap space has beside the pages in it, at most, in bytes.
const swapHeader = 64 << 10

// swapBytes is how much of the container's memory may be swapped.
func (s *Spec) swapBytes() int64 {
	if s.MemorySwap == 0 {
		return 0
	}
	return s.MemorySwap - s.Memory
}

// makeSwap makes the file that the machine swaps to. It takes up what is
// swapped, and goes with the machine.
func (c *Container) makeSwap() error {
	path, size := c.engine.home.swap(c.id), c.rec.Spec.swapBytes()
	if size == 0 {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make swap space: %w", err)
	}
	defer f.Close()
	if err := f.Truncate((size + 2*swapHeader - 1) &^ (swapHeader - 1)); err != nil {
		return fmt.Errorf("make swap space: %w", err)
	}
	return nil
}

func (c *Container) removeSwap() {
	if c.rec.Spec.swapBytes() == 0 {
		return
	}
	if err := os.Remove(c.engine.home.swap(c.id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.engine.log.Warn("remove swap space", "container", c.name(), "error", err)
	}
}
