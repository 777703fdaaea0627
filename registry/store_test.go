package registry

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-app/skerry/registry/registrytest"
)

// open makes a store that gives up soon and knows no credentials.
func open(t *testing.T, dir string) *Store {
	t.Helper()
	auth := filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(auth, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir, Options{AuthFile: auth})
	if err != nil {
		t.Fatal(err)
	}
	s.patience.pause = time.Millisecond
	return s
}

// simple is an image of one layer with one file.
func simple(text string) registrytest.Image {
	created := time.Unix(1_700_000_000, 0).UTC()
	return registrytest.Image{
		Config: ocispec.Image{Created: &created, Config: ocispec.ImageConfig{Cmd: []string{"/bin/true"}, Labels: map[string]string{"text": text}}},
		Layers: []registrytest.Layer{{Files: []registrytest.File{{Name: "etc/"}, {Name: "etc/text", Body: []byte(text)}}}},
	}
}

// push pushes an image or fails the test.
func push(t *testing.T, r registrytest.Remote, repository, tag string, image registrytest.Image) digest.Digest {
	t.Helper()
	d, err := r.Push(t.Context(), repository, tag, image)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// pulled pulls or fails the test.
func pulled(t *testing.T, s *Store, ref string) Image {
	t.Helper()
	img, err := s.Pull(t.Context(), ref, PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// files lists all that is in a store's directory, without what is always there.
func files(t *testing.T, s *Store) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(s.dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && e.Name() != ocispec.ImageLayoutFile && e.Name() != ocispec.ImageIndexFile {
			all = append(all, strings.TrimPrefix(path, s.dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ingest, err := os.ReadDir(filepath.Join(s.dir, ingestDir))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range ingest {
		all = append(all, filepath.Join(ingestDir, e.Name()))
	}
	return all
}

// bodies reads an image's layers.
func bodies(t *testing.T, s *Store, img Image) [][]byte {
	t.Helper()
	layers, err := s.Layers(img)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for _, l := range layers {
		r, err := l.Open(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if got := digest.FromBytes(data); got != l.Digest || int64(len(data)) != l.Size {
			t.Errorf("layer %s of %d bytes gives %d bytes with the digest %s", l.Digest, l.Size, len(data), got)
		}
		all = append(all, data)
	}
	return all
}

func TestPullByTag(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	want := push(t, hub.Remote, "team/app", "1", simple("one"))
	s := open(t, t.TempDir())
	ref := hub.Host + "/team/app:1"
	img := pulled(t, s, ref)

	if img.Manifest != want {
		t.Errorf("the manifest is %s; the registry has %s", img.Manifest, want)
	}
	built, err := simple("one").Build()
	if err != nil {
		t.Fatal(err)
	}
	if img.ID != built.Config.Descriptor.Digest {
		t.Errorf("the ID is %s; the configuration is %s", img.ID, built.Config.Descriptor.Digest)
	}
	stored, err := os.ReadFile(s.blobPath(img.Manifest))
	if err != nil || !bytes.Equal(stored, built.Manifest.Data) {
		t.Errorf("the manifest is not stored as it was pushed: %v", err)
	}
	if len(img.Names) != 1 || img.Names[0] != ref {
		t.Errorf("the names are %q", img.Names)
	}
	if len(img.RepoDigests) != 1 || img.RepoDigests[0] != hub.Host+"/team/app@"+want.String() {
		t.Errorf("the digests are %q", img.RepoDigests)
	}
	if img.Labels["text"] != "one" || img.Created.Unix() != 1_700_000_000 || img.Size != built.Layers[0].Descriptor.Size {
		t.Errorf("the image is %+v", img)
	}
	config, err := s.Config(img)
	if err != nil || config.Config.Cmd[0] != "/bin/true" {
		t.Errorf("the configuration is %+v, %v", config, err)
	}
	if got := bodies(t, s, img); len(got) != 1 || !bytes.Equal(got[0], built.Layers[0].Data) {
		t.Errorf("the layers are not those that were pushed")
	}

	again := open(t, s.dir)
	if got, err := again.Image(ref); err != nil || got.ID != img.ID || got.RepoDigests[0] != img.RepoDigests[0] {
		t.Errorf("the store, opened again, has %+v, %v", got, err)
	}
}
