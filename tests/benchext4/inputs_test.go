//go:build linux && inputs

package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/ext4/ext4test"
)

// TestInputs compares images of the benchmark's layers with what the kernel's
// overlayfs makes of them: flat is a copy of that.
func TestInputs(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("../..")
	in, err := prepare(t.Context(), filepath.Join(cache, "skerry", "ext4-inputs"))
	if err != nil {
		t.Fatal(err)
	}
	want := comparable(ext4test.Walk(t, filepath.Join(in.dir, "flat")))
	if len(want) < 10_000 {
		t.Fatalf("only %d files to compare", len(want))
	}
	for name, layers := range map[string][]string{
		"one layer, gzip":   {"flat.tar.gz"},
		"one layer, zstd":   {"flat.tar.zst"},
		"four layers, gzip": {"0.tar.gz", "1.tar.gz", "2.tar.gz", "3.tar.gz"},
		"four layers, zstd": {"0.tar.zst", "1.tar.zst", "2.tar.zst", "3.tar.zst"},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range layers {
				layers[i] = filepath.Join(in.dir, layers[i])
			}
			image := filepath.Join(t.TempDir(), "image")
			if err := write(t.Context(), image, layers); err != nil {
				t.Fatal(err)
			}
			ext4test.Fsck(t, image)
			disk, err := allocated(filepath.Dir(image), "image")
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("takes %d MiB, the files %d MiB: %.3f", disk>>20, in.surviving>>20, float64(disk)/float64(in.surviving))
			if disk > in.surviving*103/100 {
				t.Error("takes more than 1.03 of what the files take")
			}
			dir, _ := ext4test.Mount(t, image, "ro")
			got := comparable(ext4test.Walk(t, dir))
			for _, path := range slices.Sorted(maps.Keys(want)) {
				if diff := cmp.Diff(want[path], got[path]); diff != "" {
					t.Errorf("%s (-overlayfs +ours):\n%s", path, diff)
				}
				delete(got, path)
			}
			for path := range got {
				t.Errorf("%s is too much", path)
			}
		})
	}
}

// comparable leaves out what only one of the two can have: the root, which the
// archives do not describe, sockets, and the count of a directory's names,
// which is the host's file system's.
func comparable(m ext4test.Manifest) ext4test.Manifest {
	delete(m, ".")
	for path, e := range m {
		switch e.Mode & unix.S_IFMT {
		case unix.S_IFSOCK:
			delete(m, path)
			continue
		case unix.S_IFDIR:
			e.Nlink = 0
		}
		m[path] = e
	}
	return m
}
