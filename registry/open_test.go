package registry

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-app/skerry/registry/registrytest"
)

// withImage makes a store that has one image, ready to be harmed.
func withImage(t *testing.T) (s *Store, ref string, img Image, hub *registrytest.Server) {
	t.Helper()
	hub = registrytest.Start(t, registrytest.Options{})
	push(t, hub.Remote, "app", "1", simple("one"))
	s = open(t, t.TempDir())
	ref = hub.Host + "/app:1"
	return s, ref, pulled(t, s, ref), hub
}

func TestOpenRefusesDamage(t *testing.T) {
	s, _, img, _ := withImage(t)
	index := filepath.Join(s.dir, ocispec.ImageIndexFile)
	good, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	before := files(t, s)
	change := func(old, young string) string { return strings.ReplaceAll(string(good), old, young) }
	hexadecimal := img.Manifest.Encoded()
	for name, text := range map[string]string{
		"empty":                 "",
		"cut":                   string(good[:len(good)/2]),
		"not JSON":              "<xml/>",
		"other version":         change(`"schemaVersion": 2`, `"schemaVersion": 3`),
		"digest with a path":    change(hexadecimal, "../../../../etc/passwd"),
		"digest too short":      change(hexadecimal, hexadecimal[:10]),
		"digest in upper case":  change("sha256:"+hexadecimal, "sha256:"+strings.ToUpper(hexadecimal)),
		"other digest":          change("sha256:"+hexadecimal, "sha512:"+hexadecimal+hexadecimal),
		"name with a path":      change(img.Names[0], "../../x:1"),
		"name without a host":   change(`.ref.name": "localhost`, `.ref.name": "/localhost`),
		"name without a tag":    change(img.Names[0]+`"`, `localhost/x"`),
		"name of docker's kind": change(img.Names[0]+`"`, `x:1"`),
		"repository digest":     change("/app@sha256", "/app:sha256"),
		"a big one":             strings.Repeat(" ", maxIndex+1),
	} {
		t.Run(name, func(t *testing.T) {
			write(t, index, text)
			_, err := Open(s.dir, Options{})
			if !errors.Is(err, errdefs.ErrDataLoss) || !strings.Contains(err.Error(), index) || !strings.Contains(err.Error(), "move the directory away") {
				t.Errorf("the error is %v", err)
			}
			if after := files(t, s); !slices.Equal(after, before) {
				t.Errorf("of %q only %q are left", before, after)
			}
		})
	}
	write(t, index, string(good))
	if got, err := open(t, s.dir).Image(img.Names[0]); err != nil || got.ID != img.ID {
		t.Errorf("repaired, it has %v, %v", got.ID, err)
	}
	for text, class := range map[string]error{"{": errdefs.ErrDataLoss, `{"imageLayoutVersion":"9"}`: errdefs.ErrNotImplemented} {
		write(t, filepath.Join(s.dir, ocispec.ImageLayoutFile), text)
		if _, err := Open(s.dir, Options{}); !errors.Is(err, class) {
			t.Errorf("a layout file with %s gives %v", text, err)
		}
	}
}

// TestOpenClearsUp has a store with what a killed process leaves.
func TestOpenClearsUp(t *testing.T) {
	s, ref, img, _ := withImage(t)
	before := files(t, s)
	unfinished := filepath.Join(s.dir, ingestDir, "pull-1")
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(unfinished, "half"), "of a layer")
	write(t, filepath.Join(s.dir, ingestDir, "file-2"), `{"schemaVersion":2`)
	write(t, s.blobPath(digest.FromString("complete")), "complete")
	s = open(t, s.dir)
	if after := files(t, s); !slices.Equal(after, before) {
		t.Errorf("there is %q instead of %q", after, before)
	}
	if got, err := s.Image(ref); err != nil || got.ID != img.ID {
		t.Errorf("the image is %v, %v", got.ID, err)
	}
}

// TestDamagedImage harms an image's blobs one after the other. The others stay
// usable, nothing is deleted, and a pull or a removal makes it good.
func TestDamagedImage(t *testing.T) {
	harm := map[string]func(path string) error{
		"missing":   os.Remove,
		"empty":     func(p string) error { return os.Truncate(p, 0) },
		"truncated": func(p string) error { return os.Truncate(p, 10) },
		"longer":    func(p string) error { return appendTo(p, "x") },
		"a link": func(p string) error {
			return errors.Join(os.Rename(p, p+"-away"), os.Symlink(p+"-away", p))
		},
		"a directory": func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) },
	}
	for name, harm := range harm {
		t.Run(name, func(t *testing.T) {
			s, ref, img, hub := withImage(t)
			push(t, hub.Remote, "other", "1", simple("other"))
			other := pulled(t, s, hub.Host+"/other:1")
			layers, err := s.Layers(img)
			if err != nil {
				t.Fatal(err)
			}
			// A layer is looked at when it is opened.
			if err := harm(s.blobPath(layers[0].Digest)); err != nil {
				t.Fatal(err)
			}
			if _, err := layers[0].Open(t.Context()); !errors.Is(err, errdefs.ErrDataLoss) || !strings.Contains(err.Error(), "pull it again") {
				t.Errorf("a harmed layer gives %v", err)
			}
			os.RemoveAll(s.blobPath(layers[0].Digest))
			bodies(t, s, pulled(t, s, ref))

			// Manifest and configuration are looked at when the store is opened.
			for _, d := range []digest.Digest{img.Manifest, img.ID} {
				if err := harm(s.blobPath(d)); err != nil {
					t.Fatal(err)
				}
				s = open(t, s.dir)
				if _, err := s.Image(ref); !errors.Is(err, errdefs.ErrDataLoss) || !strings.Contains(err.Error(), "pull it again, or remove it") {
					t.Errorf("a harmed image gives %v", err)
				}
				if _, err := os.Stat(s.blobPath(layers[0].Digest)); err != nil {
					t.Errorf("the layer of a harmed image is gone: %v", err)
				}
				bodies(t, s, other)
				os.RemoveAll(s.blobPath(d))
				bodies(t, s, pulled(t, s, ref))
			}
			if err := harm(s.blobPath(img.ID)); err != nil {
				t.Fatal(err)
			}
			s = open(t, s.dir)
			if _, err := s.Remove(t.Context(), ref, false); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Remove(t.Context(), img.RepoDigests[0], false); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Image(ref); !errors.Is(err, errdefs.ErrNotFound) {
				t.Errorf("removed, it gives %v", err)
			}
			bodies(t, open(t, s.dir), other)
		})
	}
}

func appendTo(path, text string) error {
	data, err := os.ReadFile(path)
	return errors.Join(err, os.WriteFile(path, append(data, text...), 0o600))
}

// TestConfigIsComparedWithItsDigest changes a byte of a configuration without
// changing its size.
func TestConfigIsComparedWithItsDigest(t *testing.T) {
	s, _, img, _ := withImage(t)
	path := s.blobPath(img.ID)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(bytes.Replace(data, []byte("/bin/true"), []byte("/bin/evil"), 1)))
	if _, err := s.Config(img); !errors.Is(err, errdefs.ErrDataLoss) {
		t.Errorf("a changed configuration gives %v", err)
	}
}

func TestStoreIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "images")
	open(t, dir)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
