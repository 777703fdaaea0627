package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-app/skerry/registry/registrytest"
)

// saved returns an archive of images.
func saved(t *testing.T, s *Store, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Save(t.Context(), &b, names...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSaveAndLoad(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	s := open(t, t.TempDir())
	for i, img := range sharing(2) {
		img.Docker = i == 1
		push(t, hub.Remote, "app", string(rune('a'+i)), img)
	}
	first, second := pulled(t, s, hub.Host+"/app:a"), pulled(t, s, hub.Host+"/app:b")
	if err := s.Tag(t.Context(), first.ID.String(), "mine:1"); err != nil {
		t.Fatal(err)
	}
	for what, test := range map[string]struct {
		save []string
		want []Loaded
	}{
		"by name":        {[]string{"mine:1"}, []Loaded{{"mine:1", first.ID}}},
		"by ID":          {[]string{first.ID.String()}, []Loaded{{hub.Host + "/app:a", first.ID}, {"mine:1", first.ID}}},
		"several":        {[]string{hub.Host + "/app:b", "mine:1"}, []Loaded{{hub.Host + "/app:b", second.ID}, {"mine:1", first.ID}}},
		"without a name": {[]string{second.RepoDigests[0]}, []Loaded{{"", second.ID}}},
	} {
		t.Run(what, func(t *testing.T) {
			data := saved(t, s, test.save...)
			for compression, data := range map[string][]byte{"plain": data, "gzip": gzipped(t, data), "zstd": zstandard(t, data)} {
				other := open(t, t.TempDir())
				got, err := other.Load(t.Context(), bytes.NewReader(data), LoadOptions{})
				if err != nil {
					t.Fatalf("%s: %v", compression, err)
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("%s: loaded %v instead of %v", compression, got, test.want)
				}
				for _, l := range got {
					here, err := s.Image(l.ID.String())
					if err != nil {
						t.Fatal(err)
					}
					there, err := open(t, other.dir).Image(l.ID.String())
					if err != nil || there.Manifest != here.Manifest || !slices.EqualFunc(bodies(t, s, here), bodies(t, other, there), bytes.Equal) {
						t.Errorf("%s: the image has changed on its way, %v", compression, err)
					}
				}
				// What is there already is no trouble.
				if _, err := other.Load(t.Context(), bytes.NewReader(data), LoadOptions{}); err != nil {
					t.Errorf("%s: a second time: %v", compression, err)
				}
			}
		})
	}
	if err := s.Save(t.Context(), io.Discard, "mine:1", "nothing"); !errors.Is(err, errdefs.ErrNotFound) || !strings.Contains(err.Error(), "save nothing") {
		t.Errorf("an image that is not there gives %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Save(ctx, io.Discard, "mine:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled, it gives %v", err)
	}
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstandard(t *testing.T, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(data, nil)
}

// TestLoadOldArchives loads what docker wrote before version 25: layers in
// directories, one that two images share as a link.
func TestLoadOldArchives(t *testing.T) {
	layer, err := registrytest.Tar(registrytest.File{Name: "file", Body: []byte("text")})
	if err != nil {
		t.Fatal(err)
	}
	config := []byte(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["` + digest.FromBytes(layer).String() + `"]}}`)
	contents := func(layerName string) []byte {
		data, err := json.Marshal([]archiveImage{{Config: "c.json", RepoTags: []string{"old:1", "old:2"}, Layers: []string{layerName}}})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, links := range map[string][]registrytest.File{
		"no link":       {{Name: "b/layer.tar", Body: layer}},
		"symbolic link": {{Name: "a/layer.tar", Body: layer}, {Name: "b/layer.tar", Type: tar.TypeSymlink, Link: "../a/layer.tar"}},
		"hard link":     {{Name: "a/layer.tar", Body: layer}, {Name: "b/layer.tar", Type: tar.TypeLink, Link: "a/layer.tar"}},
	} {
		data, err := registrytest.Tar(append(links, registrytest.File{Name: "c.json", Body: config}, registrytest.File{Name: "manifest.json", Body: contents("b/layer.tar")})...)
		if err != nil {
			t.Fatal(err)
		}
		s := open(t, t.TempDir())
		got, err := s.Load(t.Context(), bytes.NewReader(data), LoadOptions{})
		if err != nil || len(got) != 2 || got[0].Name != "old:1" || got[1].Name != "old:2" || got[0].ID != digest.FromBytes(config) {
			t.Errorf("%s: loaded %v, %v", name, got, err)
			continue
		}
		img, err := s.Image("old:2")
		if err != nil || len(img.Names) != 2 || !bytes.Equal(bodies(t, s, img)[0], layer) {
			t.Errorf("%s: the image is %+v, %v", name, img, err)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	type members = []registrytest.File
	hub := registrytest.Start(t, registrytest.Options{})
	push(t, hub.Remote, "app", "1", simple("one"))
	source := open(t, t.TempDir())
	img := pulled(t, source, hub.Host+"/app:1")
	good := saved(t, source, img.ID.String())
	blob := "blobs/sha256/" + img.ID.Encoded()
	index := func(digest, rest string) registrytest.File {
		return registrytest.File{Name: "index.json", Body: []byte(`{"schemaVersion":2,"manifests":[{"digest":"` + digest + `"` + rest + `}]}`)}
	}
	nested := []byte(`{"schemaVersion":2,"manifests":[{"digest":"` + strings.Repeat("x", 71) + `"}]}`)
	for name, test := range map[string]struct {
		archive any // bytes, or files of an archive
		class   error
		part    string
	}{
		"empty":                {[]byte{}, errdefs.ErrInvalidArgument, ""},
		"no archive":           {[]byte(strings.Repeat("text", 1000)), errdefs.ErrInvalidArgument, "tar archive"},
		"cut":                  {good[:len(good)/2], errdefs.ErrInvalidArgument, "archive is damaged"},
		"damaged gzip":         {gzipped(t, good)[:500], errdefs.ErrInvalidArgument, "archive"},
		"other files":          {members{{Name: "a"}}, errdefs.ErrInvalidArgument, "neither"},
		"index is no JSON":     {members{{Name: "index.json", Body: []byte("x")}}, errdefs.ErrInvalidArgument, "index.json"},
		"digest with a path":   {members{index("sha256:../../../etc/passwd", "")}, errdefs.ErrInvalidArgument, "digest"},
		"blob is not there":    {members{index(img.Manifest.String(), "")}, errdefs.ErrInvalidArgument, "lacks the file"},
		"blob is another":      {members{index(img.ID.String(), ""), {Name: blob, Body: []byte("x")}}, errdefs.ErrDataLoss, "has the digest"},
		"link in a circle":     {members{index(img.ID.String(), ""), {Name: blob, Type: tar.TypeSymlink, Link: "../../" + blob}}, errdefs.ErrInvalidArgument, "leads nowhere"},
		"link out of it":       {members{{Name: "manifest.json", Type: tar.TypeSymlink, Link: "../../../../etc/hostname"}}, errdefs.ErrInvalidArgument, "lacks the file"},
		"manifest is a table":  {members{{Name: "manifest.json", Body: []byte("{}")}}, errdefs.ErrInvalidArgument, "manifest.json"},
		"no configuration":     {members{{Name: "manifest.json", Body: []byte(`[{"Config":"/etc/passwd"}]`)}}, errdefs.ErrInvalidArgument, "/etc/passwd"},
		"configuration is odd": {members{{Name: "manifest.json", Body: []byte(`[{"Config":"c"}]`)}, {Name: "c", Body: []byte("[]")}}, errdefs.ErrDataLoss, "configuration"},
		"index in an index":    {members{index(digest.FromBytes(nested).String(), ""), {Name: "blobs/sha256/" + digest.FromBytes(nested).Encoded(), Body: nested}}, errdefs.ErrInvalidArgument, "digest"},
		"name is none": {members{{Name: "manifest.json", Body: []byte(`[{"Config":"c","RepoTags":["../x:1"]}]`)},
			{Name: "c", Body: []byte(`{"os":"linux","rootfs":{"type":"layers"}}`)}}, errdefs.ErrInvalidArgument, "../x:1"},
		"layer is another": {members{{Name: "manifest.json", Body: []byte(`[{"Config":"c","Layers":["l"]}]`)}, {Name: "l", Body: []byte("x")},
			{Name: "c", Body: []byte(`{"os":"linux","rootfs":{"type":"layers","diff_ids":["` + digest.FromString("y").String() + `"]}}`)}}, errdefs.ErrDataLoss, `layer "l"`},
		"too big a document": {members{{Name: "index.json", Body: make([]byte, maxDocument+1)}}, errdefs.ErrInvalidArgument, "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			data, ok := test.archive.([]byte)
			if !ok {
				var err error
				if data, err = registrytest.Tar(test.archive.(members)...); err != nil {
					t.Fatal(err)
				}
			}
			s := open(t, t.TempDir())
			_, err := s.Load(t.Context(), bytes.NewReader(data), LoadOptions{})
			if !errors.Is(err, test.class) || !strings.Contains(err.Error(), test.part) || !strings.HasPrefix(err.Error(), "load images: ") {
				t.Errorf("the error is %v", err)
			}
			if left := files(t, s); len(left) != 0 {
				t.Errorf("there is left %q", left)
			}
		})
	}
}

// TestLoadForPlatform loads a layout as buildx writes it: an index in the index,
// with attestations.
func TestLoadForPlatform(t *testing.T) {
	members := []registrytest.File{}
	blob := func(b registrytest.Blob) ocispec.Descriptor {
		members = append(members, registrytest.File{Name: archivePath(b.Descriptor.Digest), Body: b.Data})
		return b.Descriptor
	}
	document := func(v any) registrytest.Blob {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return registrytest.Blob{Descriptor: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: digest.FromBytes(data), Size: int64(len(data))}, Data: data}
	}
	var inner, outer ocispec.Index
	for _, p := range []string{"linux/amd64", "linux/arm64"} {
		built, err := forPlatform(p).Build()
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range append(built.Layers, built.Config) {
			blob(b)
		}
		inner.Manifests = append(inner.Manifests, blob(built.Manifest))
	}
	inner.Manifests = append(inner.Manifests, ocispec.Descriptor{Digest: digest.FromString("attestation"), Platform: &ocispec.Platform{OS: "unknown", Architecture: "unknown"}})
	top := blob(document(inner))
	top.Annotations = map[string]string{annotationName: "docker.io/library/built:1", ocispec.AnnotationRefName: "1"}
	outer.Manifests = []ocispec.Descriptor{top}
	members = append(members, registrytest.File{Name: ocispec.ImageIndexFile, Body: document(outer).Data})
	data, err := registrytest.Tar(members...)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"linux/amd64", "linux/arm64"} {
		s := open(t, t.TempDir())
		if _, err := s.Load(t.Context(), bytes.NewReader(data), LoadOptions{Platform: p}); err != nil {
			t.Fatal(err)
		}
		img, err := s.Image("built:1")
		if err != nil || img.Labels["text"] != p {
			t.Errorf("%s: the image is %+v, %v", p, img, err)
		}
		bodies(t, s, img)
	}
	s := open(t, t.TempDir())
	if _, err := s.Load(t.Context(), bytes.NewReader(data), LoadOptions{Platform: "riscv64"}); !errors.Is(err, errdefs.ErrNotFound) || !strings.Contains(err.Error(), "linux/amd64, linux/arm64") {
		t.Errorf("an image that is not there gives %v", err)
	}
}
