package reader_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/ext4/ext4test"
	"github.com/skerry-app/skerry/ext4/reader"
)

// TestReplay copies file systems while they are mounted, and compares what is
// read from the copy, before anything has replayed its journal, with what the
// kernel shows that has done so.
func TestReplay(t *testing.T) {
	for name, c := range map[string]struct {
		args    []string
		options string
	}{
		"default":          {nil, ""},
		"1K":               {[]string{"-b", "1024"}, ""},
		"32 bit":           {[]string{"-O", "^64bit"}, ""},
		"no checksums":     {[]string{"-O", "^metadata_csum"}, ""},
		"v1 checksums":     {[]string{"-O", "^metadata_csum"}, ",journal_checksum"},
		"data":             {nil, ",data=journal"},
		"data 1K":          {[]string{"-b", "1024", "-O", "^metadata_csum,^64bit"}, ",data=journal"},
		"block map":        {[]string{"-t", "ext3"}, ",data=journal"},
		"async":            {nil, ",journal_async_commit,data=writeback"},
		"orphan file, 128": {[]string{"-O", "orphan_file", "-I", "128"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := filepath.Join(t.TempDir(), "image")
			mkfs(t, image, "96m", append([]string{"-J", "size=8"}, c.args...)...)
			dir, unmount := ext4test.Mount(t, image, "rw"+c.options)
			populate(t, dir)
			attributes(t, dir, false)
			settle(t, dir)
			if err := os.RemoveAll(filepath.Join(dir, "many")); err != nil { // revokes
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(dir, "kinds"), filepath.Join(dir, "sorts")); err != nil {
				t.Fatal(err)
			}
			fill := func(name string) {
				for i := range 300 {
					if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(name, i)), bytes.Repeat([]byte{0xC0, 0x3B, 0x39, 0x98}, 100*i), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			fill("later")
			orphan, err := os.Open(filepath.Join(dir, "file-70000"))
			if err != nil {
				t.Fatal(err)
			}
			defer orphan.Close()
			if err := os.Remove(orphan.Name()); err != nil {
				t.Fatal(err)
			}
			settle(t, dir)
			fill("again")
			settle(t, dir)
			crashed := filepath.Join(t.TempDir(), "copy")
			copyFile(t, image, crashed)
			orphan.Close()
			unmount()
			if !strings.Contains(ext4test.Debugfs(t, crashed, "show_super_stats -h"), "needs_recovery") {
				t.Fatal("copy does not need its journal")
			}
			fsys := open(t, crashed)
			got := manifest(t, fsys)
			replayed := filepath.Join(t.TempDir(), "replayed")
			copyFile(t, crashed, replayed)
			dir, _ = ext4test.Mount(t, replayed, "rw,noatime")
			if diff := cmp.Diff(ext4test.Walk(t, dir), got); diff != "" {
				t.Errorf("file system (-kernel +reader):\n%.5000s", diff)
			}
		})
	}
}

// TestFastCommit copies a file system with fast commits in its journal.
func TestFastCommit(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	mkfs(t, image, "96m", "-O", "fast_commit")
	dir, unmount := ext4test.Mount(t, image, "rw")
	settle(t, dir)
	for i := range 5 {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint("file", i)))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString("contents"); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.New(bytes.NewReader(b), int64(len(b))); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "fast commits") {
		t.Errorf("copy with fast commits: %v", err)
	}
	unmount()
	dir, _ = ext4test.Mount(t, image, "ro")
	same(t, image, dir)
}

// settle has everything that is written so far in the image, of which the
// metadata is in its journal.
func settle(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "--sparse=always", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
}
