package registry

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/containers/image/v5/manifest"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxLayers limits the layers of an image. Docker makes at most 127.
const maxLayers = 1024

// document is what is common to manifests and indexes.
type document struct {
	MediaType string                `json:"mediaType"`
	Config    *ocispec.Descriptor   `json:"config"`
	Layers    []ocispec.Descriptor  `json:"layers"`
	Manifests *[]ocispec.Descriptor `json:"manifests"`
	FSLayers  json.RawMessage       `json:"fsLayers"` // of schema 1
}

// parseDocument reads a manifest or an index. The media type that the registry
// has sent with it counts only when it names none itself. What could be read as
// both is refused (CVE-2021-41190).
func parseDocument(data []byte, contentType string) (document, error) {
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return d, fmt.Errorf("%w: the manifest is not JSON: %w", errdefs.ErrDataLoss, err)
	}
	if d.FSLayers != nil || strings.Contains(d.MediaType, "distribution.manifest.v1") {
		return d, fmt.Errorf("%w: the image has a manifest of schema 1, which docker gave up in 2020: build or push it again with a newer tool", errdefs.ErrNotImplemented)
	}
	if d.MediaType == "" {
		d.MediaType = contentType
	}
	isIndex := d.Manifests != nil
	if isIndex == (d.Config != nil || d.Layers != nil) {
		return d, fmt.Errorf("%w: the manifest must describe either an image or a list of images", errdefs.ErrDataLoss)
	}
	switch d.MediaType {
	case ocispec.MediaTypeImageIndex, manifest.DockerV2ListMediaType:
		if isIndex {
			return d, nil
		}
	case ocispec.MediaTypeImageManifest, manifest.DockerV2Schema2MediaType:
		if !isIndex {
			return d, nil
		}
	case "", "application/json", "application/octet-stream", "text/plain":
		d.MediaType = ocispec.MediaTypeImageManifest
		if isIndex {
			d.MediaType = ocispec.MediaTypeImageIndex
		}
		return d, nil
	}
	return d, fmt.Errorf("%w: a manifest of type %q is not that of a container image", errdefs.ErrNotImplemented, d.MediaType)
}

// checkManifest accepts the manifests of images that a container can have.
func (d document) checkManifest() error {
	if d.Manifests != nil {
		return fmt.Errorf("%w: the list of images has another list in it", errdefs.ErrNotImplemented)
	}
	if d.Config == nil {
		return fmt.Errorf("%w: the manifest names no configuration", errdefs.ErrDataLoss)
	}
	switch d.Config.MediaType {
	case ocispec.MediaTypeImageConfig, manifest.DockerV2Schema2ConfigMediaType:
	default:
		return fmt.Errorf("%w: this is not a container image but something of the type %q", errdefs.ErrNotImplemented, d.Config.MediaType)
	}
	if len(d.Layers) > maxLayers {
		return fmt.Errorf("%w: the image has %d layers; more than %d are not accepted", errdefs.ErrInvalidArgument, len(d.Layers), maxLayers)
	}
	if d.Config.Size < 0 || d.Config.Size > maxDocument {
		return fmt.Errorf("%w: the configuration has %d bytes; more than %d are not accepted", errdefs.ErrInvalidArgument, d.Config.Size, maxDocument)
	}
	for _, desc := range append([]ocispec.Descriptor{*d.Config}, d.Layers...) {
		if err := checkDigest(desc.Digest); err != nil {
			return err
		}
		if desc.Size < 0 {
			return fmt.Errorf("%w: blob %s is said to have %d bytes", errdefs.ErrDataLoss, desc.Digest, desc.Size)
		}
	}
	for _, l := range d.Layers {
		if err := checkLayerType(l.MediaType); err != nil {
			return fmt.Errorf("layer %s: %w", l.Digest, err)
		}
	}
	return nil
}

// checkLayerType accepts tar archives: plain, gzip or zstd.
func checkLayerType(mediaType string) error {
	switch mediaType {
	case ocispec.MediaTypeImageLayer, ocispec.MediaTypeImageLayerGzip, ocispec.MediaTypeImageLayerZstd,
		manifest.DockerV2SchemaLayerMediaTypeUncompressed, manifest.DockerV2Schema2LayerMediaType, dockerLayerZstd,
		// Layers that may not be copied elsewhere (image-spec, layer.md); they are layers all the same.
		"application/vnd.oci.image.layer.nondistributable.v1.tar", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", manifest.DockerV2Schema2ForeignLayerMediaType,
		manifest.DockerV2Schema2ForeignLayerMediaTypeGzip:
		return nil
	}
	if strings.HasSuffix(mediaType, "+encrypted") {
		return fmt.Errorf("%w: it is encrypted", errdefs.ErrNotImplemented)
	}
	return fmt.Errorf("%w: its type %q is not known", errdefs.ErrNotImplemented, mediaType)
}

// dockerLayerZstd is what some tools call a zstd layer in a docker manifest.
const dockerLayerZstd = "application/vnd.docker.image.rootfs.diff.tar.zstd"

// content is what a manifest and its configuration say about an image.
type content struct {
	config  ocispec.Descriptor
	layers  []ocispec.Descriptor
	image   ocispec.Image
	diffIDs []digest.Digest
}

// parseConfig reads an image's configuration and checks it against the
// manifest. It does not look at the architecture.
func parseConfig(data []byte, d document) (ocispec.Image, error) {
	var img ocispec.Image
	if err := json.Unmarshal(data, &img); err != nil {
		return img, fmt.Errorf("%w: the image's configuration is not as it should be: %w", errdefs.ErrDataLoss, err)
	}
	if img.OS == "" {
		img.OS = osLinux
	}
	if img.OS != osLinux {
		return img, fmt.Errorf("%w: the image is for %s; only images for linux can run here", errdefs.ErrNotImplemented, platformString(img.Platform))
	}
	if t := img.RootFS.Type; t != "" && t != "layers" {
		return img, fmt.Errorf("%w: the image's root file system is of the type %q instead of layers", errdefs.ErrNotImplemented, t)
	}
	if len(img.RootFS.DiffIDs) != len(d.Layers) {
		return img, fmt.Errorf("%w: the image's configuration counts %d layers and its manifest %d",
			errdefs.ErrDataLoss, len(img.RootFS.DiffIDs), len(d.Layers))
	}
	for _, id := range img.RootFS.DiffIDs {
		if err := checkDigest(id); err != nil {
			return img, fmt.Errorf("layer in the image's configuration: %w", err)
		}
	}
	img.Platform = normalise(img.Platform)
	return img, nil
}

// readContent reads an image that is in the store.
func (s *Store) readContent(m ocispec.Descriptor) (content, error) {
	data, err := s.readBlob(m)
	if err != nil {
		return content{}, err
	}
	d, err := parseDocument(data, m.MediaType)
	if err != nil {
		return content{}, err
	}
	if err := d.checkManifest(); err != nil {
		return content{}, err
	}
	config, err := s.readBlob(*d.Config)
	if err != nil {
		return content{}, err
	}
	img, err := parseConfig(config, d)
	if err != nil {
		return content{}, err
	}
	return content{config: *d.Config, layers: d.Layers, image: img, diffIDs: img.RootFS.DiffIDs}, nil
}
