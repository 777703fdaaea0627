package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-app/skerry/registry/registrytest"
)

// forPlatform is an image for a platform, told apart by its text.
func forPlatform(p string) registrytest.Image {
	img := simple(p)
	parts := strings.Split(p, "/")
	img.Config.OS, img.Config.Architecture = parts[0], parts[1]
	if len(parts) == 3 {
		img.Config.Variant = parts[2]
	}
	return img
}

func TestPullKinds(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	s := open(t, t.TempDir())
	layers := func(c ...registrytest.Compression) (l []registrytest.Layer) {
		for i, c := range c {
			l = append(l, registrytest.Layer{Compression: c, Files: []registrytest.File{{Name: "file", Body: bytes.Repeat([]byte{byte(i)}, 100_000)}}})
		}
		return l
	}
	for name, img := range map[string]registrytest.Image{
		"gzip":      {Layers: layers(registrytest.Gzip, registrytest.Gzip)},
		"zstd":      {Layers: layers(registrytest.Zstd)},
		"plain":     {Layers: layers(registrytest.Plain)},
		"mixed":     {Layers: layers(registrytest.Gzip, registrytest.Zstd, registrytest.Plain, registrytest.Gzip, registrytest.Gzip)},
		"twice":     {Layers: append(layers(registrytest.Gzip), layers(registrytest.Gzip)...)},
		"no-layers": {},
		"docker":    {Docker: true, Layers: layers(registrytest.Gzip, registrytest.Plain)},
	} {
		t.Run(name, func(t *testing.T) {
			want := push(t, hub.Remote, name, "latest", img)
			got := pulled(t, s, hub.Host+"/"+name)
			built, err := img.Build()
			if err != nil {
				t.Fatal(err)
			}
			if got.Manifest != want || got.ID != built.Config.Descriptor.Digest {
				t.Errorf("manifest %s and ID %s; the registry has %s and %s", got.Manifest, got.ID, want, built.Config.Descriptor.Digest)
			}
			stored, err := s.Layers(got)
			if err != nil {
				t.Fatal(err)
			}
			all := bodies(t, s, got)
			if len(all) != len(built.Layers) {
				t.Fatalf("%d layers of %d", len(all), len(built.Layers))
			}
			for i, l := range built.Layers {
				if !bytes.Equal(all[i], l.Data) || stored[i].MediaType != l.Descriptor.MediaType {
					t.Errorf("layer %d is another one", i)
				}
			}
		})
	}
}

func TestPullByDigest(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	want := push(t, hub.Remote, "app", "1", simple("one"))
	s := open(t, t.TempDir())
	ref := hub.Host + "/app@" + want.String()
	img := pulled(t, s, ref)
	if len(img.Names) != 0 || !slices.Equal(img.RepoDigests, []string{ref}) {
		t.Errorf("the names are %q and %q", img.Names, img.RepoDigests)
	}
	// As with docker a tag beside a digest says nothing.
	if got, err := s.Image(hub.Host + "/app:7@" + want.String()); err != nil || got.ID != img.ID {
		t.Errorf("by tag and digest: %v", err)
	}
	if _, err := s.Image(hub.Host + "/app:1"); !errors.Is(err, errdefs.ErrNotFound) {
		t.Errorf("the tag, which nobody has pulled, gives %v", err)
	}
}

func TestPullForPlatform(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	there := []string{"linux/amd64", "linux/arm64/v8", "linux/arm/v6", "linux/arm/v7", "linux/s390x", "windows/amd64"}
	var images []registrytest.Image
	for _, p := range there {
		images = append(images, forPlatform(p))
	}
	for _, repository := range []string{"oci", "docker"} {
		for i := range images {
			images[i].Docker = repository == "docker"
		}
		index, err := hub.PushIndex(t.Context(), repository, "1", images...)
		if err != nil {
			t.Fatal(err)
		}
		ref := hub.Host + "/" + repository + ":1"
		for ask, want := range map[string]string{
			"linux/amd64": there[0], "amd64": there[0], "x86_64": there[0], "linux/arm64": there[1], "linux/arm64/v8": there[1],
			"aarch64": there[1], "linux/arm/v6": there[2], "linux/arm": there[3], "linux/arm/v7": there[3], "Linux/S390X": there[4],
			"": "linux/" + runtime.GOARCH,
		} {
			t.Run(repository+" "+ask, func(t *testing.T) {
				s := open(t, t.TempDir())
				img, err := s.Pull(t.Context(), ref, PullOptions{Platform: ask})
				if err != nil {
					t.Fatal(err)
				}
				if got := img.Labels["text"]; strings.TrimSuffix(got, "/v8") != strings.TrimSuffix(want, "/v8") {
					t.Errorf("got the image for %s instead of %s", got, want)
				}
				if by := hub.Host + "/" + repository + "@" + index.String(); !slices.Equal(img.RepoDigests, []string{by}) {
					t.Errorf("the digests are %q instead of that of the index", img.RepoDigests)
				}
				// The digest of the platform's own manifest finds it as well.
				if _, err := s.Image(hub.Host + "/" + repository + "@" + img.Manifest.String()); err != nil {
					t.Error(err)
				}
			})
		}
		for others, want := range map[string]string{"s390x,amd64": there[4], "ppc64le,arm64": there[1]} {
			img, err := open(t, t.TempDir()).Pull(t.Context(), ref, PullOptions{Platform: "riscv64", Others: strings.Split(others, ",")})
			if err != nil {
				t.Fatal(err)
			}
			if got := img.Labels["text"]; got != want {
				t.Errorf("%s: got the image for %s instead of %s", others, got, want)
			}
		}
		for ask, parts := range map[string][]string{
			"linux/riscv64": {"no image for linux/riscv64", "linux/amd64, linux/arm, linux/arm/v6, linux/arm64, linux/s390x, windows/amd64"},
			"linux/arm/v5":  {"no image for linux/arm/v5"},
			"windows/amd64": {"only images for linux"},
			"linux//v7":     {"linux/ARCH"},
		} {
			s := open(t, t.TempDir())
			wantError(t, s, ref, PullOptions{Platform: ask}, nil, parts...)
		}
	}
}

// wantError pulls and looks whether that fails as it should, without a trace.
func wantError(t *testing.T, s *Store, ref string, o PullOptions, class error, parts ...string) {
	t.Helper()
	before := files(t, s)
	_, err := s.Pull(t.Context(), ref, o)
	if err == nil {
		t.Fatalf("pull %s works", ref)
	}
	if class != nil && !errors.Is(err, class) {
		t.Errorf("pull %s gives an error of another class than %v: %v", ref, class, err)
	}
	for _, part := range append(parts, "pull "+ref) {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("pull %s: the error should have %q in it: %v", ref, part, err)
		}
	}
	if after := files(t, s); !slices.Equal(after, before) {
		t.Errorf("pull %s has left %q", ref, after)
	}
}

func TestPullRefuses(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	s := open(t, t.TempDir())
	raw := func(name, mediaType string, manifest any) {
		t.Helper()
		data, err := json.Marshal(manifest)
		if err != nil {
			t.Fatal(err)
		}
		if err := hub.PutBlob(t.Context(), name, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		if _, err := hub.PutManifest(t.Context(), name, "1", mediaType, data); err != nil {
			t.Fatal(err)
		}
	}
	empty := ocispec.Descriptor{MediaType: "application/vnd.oci.empty.v1+json", Digest: digest.FromString("{}"), Size: 2}
	artifact := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: empty, Layers: []ocispec.Descriptor{empty}}
	artifact.SchemaVersion = 2
	raw("artifact", ocispec.MediaTypeImageManifest, artifact)
	artifact.Config.MediaType = ocispec.MediaTypeImageConfig
	artifact.Layers[0].MediaType = ocispec.MediaTypeImageLayerGzip
	raw("miscounted", ocispec.MediaTypeImageManifest, artifact)

	push(t, hub.Remote, "windows", "1", forPlatform("windows/amd64"))
	push(t, hub.Remote, "other", "1", forPlatform("linux/s390x"))
	encrypted, odd := simple("x"), simple("y")
	encrypted.Layers[0].MediaType = ocispec.MediaTypeImageLayerGzip + "+encrypted"
	odd.Layers[0].MediaType = "application/x-squashfs"
	push(t, hub.Remote, "encrypted", "1", encrypted)
	push(t, hub.Remote, "odd", "1", odd)

	for name, want := range map[string]struct {
		class error
		part  string
	}{
		"artifact":   {errdefs.ErrNotImplemented, "not a container image"},
		"miscounted": {errdefs.ErrDataLoss, "counts 0 layers and its manifest 1"},
		"windows":    {errdefs.ErrNotImplemented, "for windows/amd64"},
		"other":      {errdefs.ErrNotFound, "there is: linux/s390x"},
		"encrypted":  {errdefs.ErrNotImplemented, "encrypted"},
		"odd":        {errdefs.ErrNotImplemented, "application/x-squashfs"},
	} {
		wantError(t, s, hub.Host+"/"+name+":1", PullOptions{}, want.class, want.part)
	}
	// Asked for by name, or where there is nothing better, an image for another
	// processor comes.
	if _, err := s.Pull(t.Context(), hub.Host+"/other:1", PullOptions{Others: []string{"riscv64", "s390x"}}); err != nil {
		t.Error(err)
	}
	if _, err := s.Pull(t.Context(), hub.Host+"/other:1", PullOptions{Platform: "linux/s390x"}); err != nil {
		t.Error(err)
	}
	for _, ref := range []string{"", "Upper", "a b", "x:y:z", "../x", "http://host/x", strings.Repeat("a", 300), "x@sha256:12"} {
		if _, err := s.Pull(t.Context(), ref, PullOptions{}); !errors.Is(err, errdefs.ErrInvalidArgument) {
			t.Errorf("pull %q gives %v", ref, err)
		}
	}
}

func TestPullMovesTheTag(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	s := open(t, t.TempDir())
	ref := hub.Host + "/app:1"
	push(t, hub.Remote, "app", "1", simple("old"))
	old := pulled(t, s, ref)
	push(t, hub.Remote, "app", "1", simple("new"))
	young := pulled(t, s, ref)
	if got, err := s.Image(ref); err != nil || got.ID != young.ID {
		t.Errorf("the name means %s, %v; it should mean %s", got.ID, err, young.ID)
	}
	got, err := s.Image(old.ID.String())
	if err != nil || len(got.Names) != 0 || len(got.RepoDigests) != 1 {
		t.Errorf("the old image is %+v, %v", got, err)
	}
	if images, err := s.Images(); err != nil || len(images) != 2 {
		t.Errorf("there are %d images, %v", len(images), err)
	}
}

func TestPullTellsProgress(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	img := simple("one")
	img.Layers = append(img.Layers, registrytest.Layer{Compression: registrytest.Plain, Files: []registrytest.File{{Name: "big", Body: make([]byte, 3<<20)}}})
	want := push(t, hub.Remote, "app", "1", img)
	s := open(t, t.TempDir())
	built, err := img.Build()
	if err != nil {
		t.Fatal(err)
	}
	for _, round := range []struct {
		states []State
		last   State
	}{{[]State{StateWaiting, StateDownloading, StateVerifying, StateDone}, StateDone}, {[]State{StateWaiting, StateExists}, StateExists}} {
		states := map[digest.Digest][]State{}
		var final Progress
		_, err := s.Pull(t.Context(), hub.Host+"/app:1", PullOptions{Progress: func(p Progress) {
			if have := states[p.Digest]; len(have) == 0 || have[len(have)-1] != p.State {
				states[p.Digest] = append(have, p.State)
			}
			final = p
		}})
		if err != nil {
			t.Fatal(err)
		}
		if got := states[want]; !slices.Equal(got, []State{StateResolved}) {
			t.Errorf("the manifest's states are %q", got)
		}
		for _, l := range built.Layers {
			if got := states[l.Descriptor.Digest]; !slices.Equal(got, round.states) {
				t.Errorf("a layer's states are %q instead of %q", got, round.states)
			}
		}
		if len(states) != 1+len(built.Layers) {
			t.Errorf("progress on %d digests", len(states))
		}
		if final.Received != final.Expected || final.Offset != final.Total {
			t.Errorf("the last report is %+v", final)
		}
	}
}
