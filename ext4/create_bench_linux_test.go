package ext4_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/skerry-app/skerry/ext4"
)

// BenchmarkCreate makes empty file systems, as for scratch disks and volumes.
func BenchmarkCreate(b *testing.B) {
	for _, size := range []int64{16 << 30, 512 << 30, 4 << 40, 16<<40 - 1<<20, ext4.MaxSize} {
		b.Run(fmt.Sprintf("%dGiB", size>>30), func(b *testing.B) {
			f, err := os.Create(filepath.Join(bigFiles(b, size), "disk"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			for b.Loop() {
				if _, err := ext4.Create(f, ext4.Options{Size: size, Journal: 32 << 20}, ext4.NewDir(0o755)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
