package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/skerry-app/skerry/ext4"
)

const (
	// scratchSize is the nominal size of a scratch disk in bytes; it takes up
	// what is written to it.
	scratchSize = 16 << 30
	// scratchJournal lets a scratch disk survive a machine that was killed.
	scratchJournal = 32 << 20
	// journalShare is how much of a small disk the journal may take: an eighth.
	journalShare = 8
)

// Scratch makes a container's scratch disk at path, unless it is there: an
// ext4 file system of a size in bytes (0: 16 GiB) with the directories that an
// overlay wants, upper and work. It takes up what is written.
func (c *Cache) Scratch(path string, size int64) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("scratch disk: %w", err)
	}
	if size == 0 {
		size = scratchSize
	}
	journal := min(scratchJournal, size/journalShare)
	err := write(path, func(f *os.File) error {
		root := ext4.NewDir(0o755)
		root.Set("upper", ext4.NewDir(0o755))
		root.Set("work", ext4.NewDir(0o755))
		_, err := ext4.Create(f, ext4.Options{Size: size, Journal: journal, Label: "skerry-scratch"}, root)
		return err
	})
	if err != nil {
		return fmt.Errorf("make scratch disk: %w", err)
	}
	return nil
}
