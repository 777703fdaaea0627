package registry

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/registry/registrytest"
)

// smallDisk mounts a file system of some pages and returns its directory.
func smallDisk(t *testing.T, pages int) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a full disk is a small tmpfs, and mounting it takes root: run the tests as root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", pages*os.Getpagesize())); errors.Is(err, unix.EPERM) {
		t.Skip("a full disk is a small tmpfs, and this process may not mount one: give it CAP_SYS_ADMIN")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "images")
}

// fill takes all the space that is left.
func fill(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(filepath.Dir(dir), "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, os.Getpagesize()))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// TestPullOnAFullDisk has the disk full at each page that a pull writes.
func TestPullOnAFullDisk(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	img := noisy(20_000)
	img.Layers = append(img.Layers, simple("small").Layers...)
	push(t, hub.Remote, "old", "1", simple("old"))
	push(t, hub.Remote, "app", "1", img)
	worked, failed := false, 0
	for pages := 8; !worked; pages++ {
		if pages == 64 {
			t.Fatal("the pull fails however much space there is")
		}
		t.Run(fmt.Sprint(pages), func(t *testing.T) {
			dir := smallDisk(t, pages)
			s := open(t, dir)
			old := pulled(t, s, hub.Host+"/old:1")
			before := files(t, s)
			got, err := s.Pull(t.Context(), hub.Host+"/app:1", PullOptions{})
			if worked = err == nil; worked {
				bodies(t, s, got)
				return
			}
			failed++
			if !errors.Is(err, errdefs.ErrResourceExhausted) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "remove images") {
				t.Errorf("the error is %v", err)
			}
			for _, s := range []*Store{s, open(t, dir)} {
				if after := files(t, s); !slices.Equal(after, before) {
					t.Errorf("there is %q instead of %q", after, before)
				}
				bodies(t, s, old)
			}
		})
	}
	if failed < 3 {
		t.Errorf("the pull failed for lack of space %d times only", failed)
	}
}

// TestRemoveOnAFullDisk makes room when there is none at all.
func TestRemoveOnAFullDisk(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	push(t, hub.Remote, "app", "1", noisy(100_000))
	push(t, hub.Remote, "app", "2", simple("two"))
	dir := smallDisk(t, 256)
	s := open(t, dir)
	pulled(t, s, hub.Host+"/app:1")
	kept := pulled(t, s, hub.Host+"/app:2")
	fill(t, dir)
	s = open(t, dir)
	if err := s.Tag(t.Context(), hub.Host+"/app:2", "other"); !errors.Is(err, errdefs.ErrResourceExhausted) {
		t.Errorf("a tag on a full disk gives %v", err)
	}
	if _, err := s.Image("other"); !errors.Is(err, errdefs.ErrNotFound) {
		t.Errorf("the tag that could not be stored gives %v", err)
	}
	if _, err := s.Remove(t.Context(), hub.Host+"/app:1", false); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{s, open(t, dir)} {
		if images, err := s.Images(); err != nil || len(images) != 1 {
			t.Errorf("there are %d images, %v", len(images), err)
		}
		bodies(t, s, kept)
		if n := len(files(t, s)); n != 3 {
			t.Errorf("there are %d blobs of one image with one layer", n)
		}
	}
}
