package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/containerd/errdefs"
	"github.com/containers/image/v5/pkg/compression"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxNesting limits how deep indexes in an archive may list indexes.
const maxNesting = 4

// Loaded is an image that Load has brought in. Name is empty for one without.
type Loaded struct {
	Name string // as users write it
	ID   digest.Digest
}

// LoadOptions change what Load does. The zero value is ready for use.
type LoadOptions struct {
	// Platform chooses where an archive has an image for several, as in
	// PullOptions.
	Platform string
}

// Load brings in the images of an archive: an OCI image layout as tar, or what
// docker save writes; plain or compressed with gzip, bzip2, xz or zstd. When
// one image is not as it should be none comes in.
func (s *Store) Load(ctx context.Context, r io.Reader, o LoadOptions) ([]Loaded, error) {
	loaded, err := s.load(ctx, r, o)
	if err != nil {
		return nil, fmt.Errorf("load images: %w", err)
	}
	return loaded, nil
}

func (s *Store) load(ctx context.Context, r io.Reader, o LoadOptions) ([]Loaded, error) {
	platform, err := parsePlatform(o.Platform)
	if err != nil {
		return nil, err
	}
	plain, _, err := compression.AutoDecompress(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errdefs.ErrInvalidArgument, err)
	}
	defer plain.Close()
	dir, remove, err := s.ingest()
	if err != nil {
		return nil, err
	}
	defer remove()
	l := &loading{store: s, platform: platform, files: unpacked{dir: dir, members: map[string]member{}}}
	if err := l.files.unpack(ctx, plain); err != nil {
		return nil, s.diskError(err)
	}
	images, err := l.images()
	if err != nil {
		return nil, err
	}
	return l.commit(images)
}

// loading is one call of Load.
type loading struct {
	store    *Store
	platform ocispec.Platform
	files    unpacked
}

// incoming is an image in an archive.
type incoming struct {
	name     string // normalised, or empty
	manifest ocispec.Descriptor
	data     []byte // of the manifest
	content  content
	blobs    map[digest.Digest]member // configuration and layers
}

func (l *loading) images() ([]incoming, error) {
	if _, ok := l.files.members[ocispec.ImageIndexFile]; ok {
		return l.layoutImages()
	}
	if _, ok := l.files.members[archiveManifest]; ok {
		return l.dockerImages()
	}
	return nil, fmt.Errorf("%w: the archive has neither %s nor %s: is it one that docker save or podman save has written?",
		errdefs.ErrInvalidArgument, ocispec.ImageIndexFile, archiveManifest)
}

// layoutImages reads the images of an OCI image layout.
func (l *loading) layoutImages() ([]incoming, error) {
	var index ocispec.Index
	if err := l.files.decode(ocispec.ImageIndexFile, &index); err != nil {
		return nil, err
	}
	var images []incoming
	for _, d := range index.Manifests {
		img, err := l.layoutImage(d, 0)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", d.Digest, err)
		}
		img.name = nameIn(d.Annotations)
		images = append(images, img)
	}
	return images, nil
}

func (l *loading) layoutImage(desc ocispec.Descriptor, depth int) (incoming, error) {
	m, err := l.files.blob(desc.Digest)
	if err != nil {
		return incoming{}, err
	}
	data, err := m.read()
	if err != nil {
		return incoming{}, err
	}
	d, err := parseDocument(data, desc.MediaType)
	if err != nil {
		return incoming{}, err
	}
	if d.Manifests != nil {
		if depth == maxNesting {
			return incoming{}, fmt.Errorf("%w: indexes are nested more than %d deep", errdefs.ErrInvalidArgument, maxNesting)
		}
		chosen, err := choose(ocispec.Index{Manifests: *d.Manifests}, []ocispec.Platform{l.platform})
		if err != nil {
			return incoming{}, err
		}
		return l.layoutImage(chosen, depth+1)
	}
	blobs := map[digest.Digest]member{}
	if err := d.checkManifest(); err != nil {
		return incoming{}, err
	}
	for _, b := range append([]ocispec.Descriptor{*d.Config}, d.Layers...) {
		if blobs[b.Digest], err = l.files.blob(b.Digest); err != nil {
			return incoming{}, err
		}
	}
	return newIncoming(d, data, blobs)
}

// newIncoming checks an image whose blobs are all there.
func newIncoming(d document, data []byte, blobs map[digest.Digest]member) (incoming, error) {
	for _, b := range append([]ocispec.Descriptor{*d.Config}, d.Layers...) {
		if got := blobs[b.Digest].size; got != b.Size {
			return incoming{}, fmt.Errorf("%w: blob %s has %d bytes instead of %d", errdefs.ErrDataLoss, b.Digest, got, b.Size)
		}
	}
	config, err := blobs[d.Config.Digest].read()
	if err != nil {
		return incoming{}, err
	}
	img, err := parseConfig(config, d)
	if err != nil {
		return incoming{}, err
	}
	return incoming{
		manifest: ocispec.Descriptor{MediaType: d.MediaType, Digest: digest.FromBytes(data), Size: int64(len(data))},
		data:     data,
		content:  content{config: *d.Config, layers: d.Layers, image: img, diffIDs: img.RootFS.DiffIDs},
		blobs:    blobs,
	}, nil
}

// dockerImages reads the images of docker's kind of archive.
func (l *loading) dockerImages() ([]incoming, error) {
	var listed []archiveImage
	if err := l.files.decode(archiveManifest, &listed); err != nil {
		return nil, err
	}
	var images []incoming
	for i, a := range listed {
		img, err := l.dockerImage(a)
		if err != nil {
			return nil, fmt.Errorf("image %d: %w", i, err)
		}
		for _, tag := range a.RepoTags {
			named, err := reference.ParseNormalizedNamed(tag)
			if _, tagged := named.(reference.NamedTagged); err != nil || !tagged {
				return nil, fmt.Errorf("image %d: %w: %q is not an image name with a tag", i, errdefs.ErrInvalidArgument, tag)
			}
			img.name = named.String()
			images = append(images, img)
		}
		if len(a.RepoTags) == 0 {
			images = append(images, img)
		}
	}
	return images, nil
}

// dockerImage makes a manifest for an image that came without one.
func (l *loading) dockerImage(a archiveImage) (incoming, error) {
	config, err := l.files.member(a.Config)
	if err != nil {
		return incoming{}, err
	}
	blobs := map[digest.Digest]member{config.digest: config}
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: config.digest, Size: config.size},
		Layers:    []ocispec.Descriptor{},
	}
	for _, name := range a.Layers {
		layer, err := l.files.member(name)
		if err != nil {
			return incoming{}, err
		}
		mediaType, err := layer.layerType()
		if err != nil {
			return incoming{}, fmt.Errorf("layer %q: %w", name, err)
		}
		blobs[layer.digest] = layer
		m.Layers = append(m.Layers, ocispec.Descriptor{MediaType: mediaType, Digest: layer.digest, Size: layer.size})
	}
	data, err := json.Marshal(m)
	if err != nil {
		return incoming{}, err
	}
	d, err := parseDocument(data, "")
	if err != nil {
		return incoming{}, err
	}
	if err := d.checkManifest(); err != nil {
		return incoming{}, err
	}
	img, err := newIncoming(d, data, blobs)
	if err != nil {
		return incoming{}, err
	}
	// Nothing but the configuration tells what the layers should be.
	for i, layer := range m.Layers {
		if want := img.content.diffIDs[i]; layer.MediaType == ocispec.MediaTypeImageLayer && layer.Digest != want {
			return incoming{}, fmt.Errorf("%w: layer %q has the digest %s instead of %s", errdefs.ErrDataLoss, a.Layers[i], layer.Digest, want)
		}
	}
	return img, nil
}

// commit moves the blobs into the store and then makes the images known.
func (l *loading) commit(images []incoming) ([]Loaded, error) {
	var all []digest.Digest
	for _, img := range images {
		all = append(all, img.manifest.Digest)
		for d := range img.blobs {
			all = append(all, d)
		}
	}
	l.store.pin(all)
	defer l.store.unpin(all)
	for _, img := range images {
		for d, m := range img.blobs {
			if err := l.place(d, m); err != nil {
				return nil, fmt.Errorf("blob %s: %w", d, err)
			}
		}
		if err := l.store.writeBlob(img.manifest, img.data); err != nil {
			return nil, err
		}
	}
	var loaded []Loaded
	for _, img := range images {
		if err := l.store.record(img.manifest, img.content, img.name, ""); err != nil {
			return nil, err
		}
		name := ""
		if img.name != "" {
			name = familiar(img.name)
		}
		loaded = append(loaded, Loaded{Name: name, ID: img.content.config.Digest})
	}
	return loaded, nil
}

// place moves a member to its place among the blobs, unless it is there.
func (l *loading) place(d digest.Digest, m member) error {
	if l.store.hasBlob(ocispec.Descriptor{Digest: d, Size: m.size}) {
		return nil
	}
	f, err := os.OpenFile(m.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return l.store.publish(f, l.store.blobPath(d))
}

// layerType tells a layer's media type by its first bytes.
func (m member) layerType() (string, error) {
	f, err := os.Open(m.path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := make([]byte, 4)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", err
	}
	switch head = head[:n]; {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}): // RFC 1952, 2.3.1
		return ocispec.MediaTypeImageLayerGzip, nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}): // RFC 8878, 3.1.1
		return ocispec.MediaTypeImageLayerZstd, nil
	}
	return ocispec.MediaTypeImageLayer, nil
}
