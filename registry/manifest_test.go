package registry

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestCheckManifest(t *testing.T) {
	good := func() ocispec.Manifest {
		return ocispec.Manifest{
			Config: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: digest.FromString("config"), Size: 100},
			Layers: []ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: digest.FromString("layer"), Size: 100}},
		}
	}
	for name, test := range map[string]struct {
		change      func(*ocispec.Manifest)
		contentType string
		class       error // nil: it is good
	}{
		"good":                {func(*ocispec.Manifest) {}, ocispec.MediaTypeImageManifest, nil},
		"no type at all":      {func(*ocispec.Manifest) {}, "", nil},
		"type of any JSON":    {func(*ocispec.Manifest) {}, "application/json", nil},
		"its own type counts": {func(m *ocispec.Manifest) { m.MediaType = ocispec.MediaTypeImageManifest }, "text/html", nil},
		"foreign layer": {func(m *ocispec.Manifest) {
			m.Layers[0].MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
		}, "", nil},
		"said to be an index":    {func(m *ocispec.Manifest) { m.MediaType = ocispec.MediaTypeImageIndex }, "", errdefs.ErrNotImplemented},
		"other type":             {func(*ocispec.Manifest) {}, "text/html", errdefs.ErrNotImplemented},
		"many layers":            {func(m *ocispec.Manifest) { m.Layers = make([]ocispec.Descriptor, maxLayers+1) }, "", errdefs.ErrInvalidArgument},
		"big configuration":      {func(m *ocispec.Manifest) { m.Config.Size = maxDocument + 1 }, "", errdefs.ErrInvalidArgument},
		"negative configuration": {func(m *ocispec.Manifest) { m.Config.Size = -1 }, "", errdefs.ErrInvalidArgument},
		"negative layer":         {func(m *ocispec.Manifest) { m.Layers[0].Size = -1 }, "", errdefs.ErrDataLoss},
		"digest is a path":       {func(m *ocispec.Manifest) { m.Layers[0].Digest = "sha256:../../../../etc/passwd" }, "", errdefs.ErrInvalidArgument},
		"digest is empty":        {func(m *ocispec.Manifest) { m.Config.Digest = "" }, "", errdefs.ErrInvalidArgument},
		"other algorithm":        {func(m *ocispec.Manifest) { m.Layers[0].Digest = digest.SHA512.FromString("x") }, "", errdefs.ErrNotImplemented},
		"other configuration":    {func(m *ocispec.Manifest) { m.Config.MediaType = "application/vnd.cncf.helm.config.v1+json" }, "", errdefs.ErrNotImplemented},
	} {
		m := good()
		test.change(&m)
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		d, err := parseDocument(data, test.contentType)
		if err == nil {
			err = d.checkManifest()
		}
		if test.class == nil && err != nil || test.class != nil && !errors.Is(err, test.class) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseConfig(t *testing.T) {
	one := document{Layers: make([]ocispec.Descriptor, 1)}
	id := digest.FromString("layer").String()
	for config, class := range map[string]error{
		`{"os":"linux","architecture":"arm64","variant":"v8","rootfs":{"type":"layers","diff_ids":["ID"]}}`: nil,
		`{"rootfs":{"diff_ids":["ID"]}}`:                                nil,
		`{"os":"windows","rootfs":{"type":"layers","diff_ids":["ID"]}}`: errdefs.ErrNotImplemented,
		`{"os":"linux","rootfs":{"type":"squashfs","diff_ids":["ID"]}}`: errdefs.ErrNotImplemented,
		`{"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}`:       errdefs.ErrDataLoss,
		`{"os":"linux","rootfs":{"type":"layers","diff_ids":["../x"]}}`: errdefs.ErrInvalidArgument,
		`{"os":"linux","created":"yesterday"}`:                          errdefs.ErrDataLoss,
		`{"config":{"Env":"PATH=/"},"rootfs":{"diff_ids":["ID"]}}`:      errdefs.ErrDataLoss,
		`[]`:                              errdefs.ErrDataLoss,
		`{"rootfs":{"diff_ids":["ID"]}}x`: errdefs.ErrDataLoss,
		``:                                errdefs.ErrDataLoss,
	} {
		img, err := parseConfig([]byte(strings.ReplaceAll(config, "ID", id)), one)
		if class == nil && (err != nil || img.OS != osLinux || img.Variant != "") || class != nil && !errors.Is(err, class) {
			t.Errorf("%s: %+v, %v", config, img.Platform, err)
		}
	}
}
