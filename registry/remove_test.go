package registry

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-app/skerry/registry/registrytest"
)

// TestRemove follows docker's rules (moby, daemon/images/image_delete.go).
func TestRemove(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	d := push(t, hub.Remote, "app", "1", simple("one"))
	built, err := simple("one").Build()
	if err != nil {
		t.Fatal(err)
	}
	id := built.Config.Descriptor.Digest.String()
	tag, by := hub.Host+"/app:1", hub.Host+"/app@"+d.String()
	for name, test := range map[string]struct {
		tags  []string // besides the first
		what  string
		force bool
		want  []string // untagged names, and the ID when it is deleted; nil for a conflict
	}{
		"only tag":                   {nil, tag, false, []string{tag, by, id}},
		"one of two tags":            {[]string{"mine:1"}, tag, false, []string{tag, by}},
		"the other of two tags":      {[]string{"mine:1"}, "mine:1", false, []string{"mine:1"}},
		"one of two in a repository": {[]string{hub.Host + "/app:2"}, tag, false, []string{tag}},
		"latest is implied":          {[]string{"mine:latest"}, "mine", false, []string{"mine:latest"}},
		"ID with one tag":            {nil, id, false, []string{tag, by, id}},
		"short ID":                   {nil, id[7:19], false, []string{tag, by, id}},
		"ID with two tags":           {[]string{hub.Host + "/app:2"}, id, false, nil},
		"ID with two repositories":   {[]string{"mine:1"}, id, false, nil},
		"the same by force":          {[]string{"mine:1"}, id, true, []string{tag, "mine:1", by, id}},
		"digest beside a tag":        {nil, by, false, []string{by}},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			pulled(t, s, tag)
			for _, more := range test.tags {
				if err := s.Tag(t.Context(), tag, more); err != nil {
					t.Fatal(err)
				}
			}
			done, err := s.Remove(t.Context(), test.what, test.force)
			if test.want == nil {
				if !errors.Is(err, errdefs.ErrConflict) || !strings.Contains(err.Error(), tag) {
					t.Errorf("the error is %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range done {
				got = append(got, d.Untagged+d.Deleted)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("it has removed %q instead of %q", got, test.want)
			}
			deleted := slices.Contains(test.want, id)
			for _, s := range []*Store{s, open(t, s.dir)} {
				if _, err := s.Image(id); deleted != errors.Is(err, errdefs.ErrNotFound) {
					t.Errorf("deleted: %v; the image gives %v", deleted, err)
				}
				if left := files(t, s); deleted != (len(left) == 0) {
					t.Errorf("deleted: %v; there is left %q", deleted, left)
				}
			}
		})
	}
}

func TestRemoveKeepsWhatOthersNeed(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	images := sharing(2)
	s := open(t, t.TempDir())
	var refs []string
	for i, img := range images {
		tag := string(rune('a' + i))
		push(t, hub.Remote, "app", tag, img)
		refs = append(refs, hub.Host+"/app:"+tag)
		pulled(t, s, refs[i])
	}
	first, err := s.Image(refs[0])
	if err != nil {
		t.Fatal(err)
	}
	layers, err := s.Layers(first)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := layers[2].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := s.Remove(t.Context(), refs[0], false); err != nil {
		t.Fatal(err)
	}
	second, err := s.Image(refs[1])
	if err != nil {
		t.Fatal(err)
	}
	bodies(t, s, second)
	if n := len(files(t, s)); n != 5 {
		t.Errorf("there are %d blobs instead of manifest, configuration and three layers", n)
	}
	// Who has a layer open reads on; who opens it now hears what is wrong.
	if data, err := io.ReadAll(reader); err != nil || digest.FromBytes(data) != layers[2].Digest {
		t.Errorf("the layer that was open gives %d bytes, %v", len(data), err)
	}
	if _, err := layers[2].Open(t.Context()); !errors.Is(err, errdefs.ErrDataLoss) {
		t.Errorf("a layer that is gone gives %v", err)
	}
	if _, err := s.Layers(first); !errors.Is(err, errdefs.ErrNotFound) {
		t.Errorf("the layers of an image that is gone give %v", err)
	}
}

func TestFind(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	d := push(t, hub.Remote, "team/app", "latest", simple("one"))
	s := open(t, t.TempDir())
	img := pulled(t, s, hub.Host+"/team/app")
	for _, ref := range []string{"short", "docker.io/library/long:3", "user/app:x", "beef"} {
		if err := s.Tag(t.Context(), img.ID.String(), ref); err != nil {
			t.Fatal(err)
		}
	}
	hexadecimal := img.ID.Encoded()
	for _, found := range []string{
		hub.Host + "/team/app", hub.Host + "/team/app:latest", hub.Host + "/team/app@" + d.String(), hub.Host + "/team/app:latest@" + d.String(),
		"short", "short:latest", "library/short", "docker.io/library/short:latest", "index.docker.io/library/short", "long:3", "user/app:x", "docker.io/user/app:x",
		hexadecimal, "sha256:" + hexadecimal, hexadecimal[:12], hexadecimal[:4], "sha256:" + hexadecimal[:9], "beef",
	} {
		if got, err := s.Image(found); err != nil || got.ID != img.ID {
			t.Errorf("%s: %v", found, err)
		}
	}
	for missing, class := range map[string]error{
		"team/app": errdefs.ErrNotFound, "short:1": errdefs.ErrNotFound, "long": errdefs.ErrNotFound, hexadecimal[:3]: errdefs.ErrNotFound,
		strings.Repeat("0", 64): errdefs.ErrNotFound, "0000beef": errdefs.ErrNotFound, hub.Host + "/team/app@" + img.ID.String(): errdefs.ErrNotFound,
		"Short": errdefs.ErrInvalidArgument, "": errdefs.ErrInvalidArgument, "a:b:c": errdefs.ErrInvalidArgument, "../" + hexadecimal[:4]: errdefs.ErrInvalidArgument,
		"x@md5:d41d8cd98f00b204e9800998ecf8427e": errdefs.ErrInvalidArgument,
	} {
		if _, err := s.Image(missing); !errors.Is(err, class) {
			t.Errorf("%q gives %v", missing, err)
		}
	}
	if _, err := s.Image("nothing"); err == nil || !strings.Contains(err.Error(), "no such image: nothing:latest: pull it first") {
		t.Errorf("the error is %v", err)
	}
	for _, ref := range []string{"x@" + d.String(), "sha256:abcd", "", "Upper"} {
		if err := s.Tag(t.Context(), "short", ref); !errors.Is(err, errdefs.ErrInvalidArgument) {
			t.Errorf("the tag %q gives %v", ref, err)
		}
	}
	if err := s.Tag(t.Context(), "nothing", "x"); !errors.Is(err, errdefs.ErrNotFound) {
		t.Errorf("a tag for nothing gives %v", err)
	}
}

// TestAmbiguousPrefix stores images until two IDs begin alike.
func TestAmbiguousPrefix(t *testing.T) {
	s := open(t, t.TempDir())
	for _, end := range []string{"1", "2"} {
		e := &entry{manifest: ocispec.Descriptor{Digest: digest.FromString(end)}}
		e.config.Digest = digest.NewDigestFromEncoded(digest.SHA256, strings.Repeat("a", 63)+end)
		s.entries = append(s.entries, e)
	}
	if _, err := s.Image("aaaa"); !errors.Is(err, errdefs.ErrInvalidArgument) || !strings.Contains(err.Error(), "ambiguous") {
		t.Errorf("the error is %v", err)
	}
	if _, err := s.Image(strings.Repeat("a", 63) + "2"); err != nil {
		t.Error(err)
	}
}
