package registry

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	dockerarchive "github.com/containers/image/v5/docker/archive"
	"github.com/containers/image/v5/oci/layout"
	"github.com/containers/image/v5/pkg/blobinfocache/none"
	"github.com/containers/image/v5/pkg/compression"
	"github.com/containers/image/v5/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-app/skerry/registry/registrytest"
)

// theirs is an image as containers/image, which is in podman and skopeo, reads
// it.
type theirs struct {
	config   []byte
	archives [][]byte // the layers without compression
}

func readTheirs(t *testing.T, ref types.ImageReference, err error) theirs {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	source, err := ref.NewImageSource(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	data, _, err := source.GetManifest(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	blob := func(d digest.Digest) []byte {
		body, _, err := source.GetBlob(t.Context(), types.BlobInfo{Digest: d, Size: -1}, none.NoCache)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		plain, _, err := compression.AutoDecompress(body)
		if err != nil {
			t.Fatal(err)
		}
		defer plain.Close()
		data, err := io.ReadAll(plain)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	img := theirs{config: blob(m.Config.Digest)}
	for _, l := range m.Layers {
		img.archives = append(img.archives, blob(l.Digest))
	}
	return img
}

// write makes an archive of docker's kind with their code.
func (i theirs) write(t *testing.T, path, name string) {
	t.Helper()
	ref, err := dockerarchive.ParseReference(path + ":" + name)
	if err != nil {
		t.Fatal(err)
	}
	to, err := ref.NewImageDestination(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	put := func(mediaType string, data []byte, isConfig bool) ocispec.Descriptor {
		d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
		if _, err := to.PutBlob(t.Context(), bytes.NewReader(data), types.BlobInfo{Digest: d.Digest, Size: d.Size}, none.NoCache, isConfig); err != nil {
			t.Fatal(err)
		}
		return d
	}
	m := ocispec.Manifest{MediaType: registrytest.DockerManifest, Config: put("application/vnd.docker.container.image.v1+json", i.config, true)}
	m.SchemaVersion = 2
	for _, a := range i.archives {
		m.Layers = append(m.Layers, put("application/vnd.docker.image.rootfs.diff.tar", a, false))
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := to.PutManifest(t.Context(), data, nil); err != nil {
		t.Fatal(err)
	}
	if err := to.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

// TestOthers has others' code read the store and an archive that Save has
// written, and write an archive for Load.
func TestOthers(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	image := sharing(1)[0]
	image.Layers[0].Compression, image.Layers[1].Compression = registrytest.Zstd, registrytest.Plain
	push(t, hub.Remote, "app", "1", image)
	s := open(t, t.TempDir())
	img := pulled(t, s, hub.Host+"/app:1")
	if err := s.Tag(t.Context(), img.ID.String(), "mine:1"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "saved.tar")
	write(t, file, string(saved(t, s, "mine:1")))

	ref, err := layout.NewReference(s.dir, "docker.io/library/mine:1")
	fromStore := readTheirs(t, ref, err)
	ref, err = dockerarchive.ParseReference(file + ":mine:1")
	fromArchive := readTheirs(t, ref, err)
	layers, err := s.Layers(img)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]theirs{"store": fromStore, "archive": fromArchive} {
		if digest.FromBytes(got.config) != img.ID || len(got.archives) != len(layers) {
			t.Fatalf("%s: the configuration is %s, with %d layers", name, digest.FromBytes(got.config), len(got.archives))
		}
		for i, a := range got.archives {
			if d := digest.FromBytes(a); d != layers[i].DiffID {
				t.Errorf("%s: layer %d is %s instead of %s", name, i, d, layers[i].DiffID)
			}
		}
	}

	written := filepath.Join(t.TempDir(), "written.tar")
	fromStore.write(t, written, "theirs:2")
	f, err := os.Open(written)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	other := open(t, t.TempDir())
	got, err := other.Load(t.Context(), f, LoadOptions{})
	if err != nil || len(got) != 1 || got[0] != (Loaded{"theirs:2", img.ID}) {
		t.Fatalf("loaded %v, %v", got, err)
	}
	loaded, err := other.Image("theirs:2")
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range bodies(t, other, loaded) {
		if !bytes.Equal(b, fromStore.archives[i]) {
			t.Errorf("layer %d has changed on its way", i)
		}
	}
}
