package image

import (
	"fmt"
	"os"

	"github.com/skerry-app/skerry/ext4"
)

const (
	// VolumeSize is the usual nominal size of a volume in bytes; it takes up what is
	// written to it.
	VolumeSize = 64 << 30
	// volumeJournal is what mke2fs chooses for a volume's database: enough for
	// many writers that wait for their data.
	volumeJournal = 64 << 20
)

// Volume makes a volume's disk of size bytes at path: an ext4 file system with one
// empty directory.
func (c *Cache) Volume(path, directory string, size int64) error {
	err := write(path, func(f *os.File) error {
		root := ext4.NewDir(0o755)
		root.Set(directory, ext4.NewDir(0o755))
		_, err := ext4.Create(f, ext4.Options{Size: size, Journal: volumeJournal, Label: "skerry-volume"}, root)
		return err
	})
	if err != nil {
		return fmt.Errorf("make the disk of a volume: %w", err)
	}
	return nil
}
