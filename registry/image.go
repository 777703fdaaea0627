package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// minPrefix is the number of hexadecimal digits that an abbreviated image ID
// has at least.
const minPrefix = 4

// Image is what the store has under an image ID.
type Image struct {
	ID          digest.Digest    // digest of the configuration, as with docker
	Manifest    digest.Digest    // digest of the manifest, as the registry served it
	Names       []string         // as users write them, with tag: alpine:3.22
	RepoDigests []string         // the same with the digest that the registry had for the tag: alpine@sha256:...
	Platform    ocispec.Platform // arm64 has no variant, arm without one is v7
	Created     time.Time        // zero when the image does not tell
	Size        int64            // bytes of the layers as they are stored, compressed
	Labels      map[string]string
}

// Layer is one layer of an image, to be unpacked above those before it.
type Layer struct {
	Digest    digest.Digest // of the bytes that Open gives
	DiffID    digest.Digest // of the tar archive in it
	MediaType string        // tells how it is compressed
	Size      int64         // bytes that Open gives

	store   *Store
	arrival *arrival // nil when it is in the store
}

// Open returns the layer's bytes as the registry has served them. They matched
// Digest when they were stored; those of a layer that is still arriving are
// given as they come, and its end not before they have matched. A blob that is
// missing or has another size gives errdefs.ErrDataLoss.
func (l Layer) Open(ctx context.Context) (io.ReadCloser, error) {
	if l.arrival != nil {
		return l.arrival.open(ctx, l.store), nil
	}
	return l.store.openBlob(ocispec.Descriptor{Digest: l.Digest, Size: l.Size})
}

// Images returns all images, the newest first.
func (s *Store) Images() ([]Image, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var images []Image
	seen := map[digest.Digest]bool{}
	for _, e := range s.entries {
		if e.broken == nil && !seen[e.config.Digest] {
			seen[e.config.Digest] = true
			images = append(images, s.image(e.config.Digest))
		}
	}
	slices.SortFunc(images, func(a, b Image) int {
		if c := b.Created.Compare(a.Created); c != 0 {
			return c
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	return images, nil
}

// Size returns the bytes of all layers in the store, each counted once however
// many images have it.
func (s *Store) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []ocispec.Descriptor
	for _, e := range s.entries {
		all = append(all, e.layers...)
	}
	var size int64
	for _, l := range distinct(all) {
		size += l.Size
	}
	return size
}

// Image finds an image by name (the tag latest is implied), by name and digest,
// by ID, or by the beginning of an ID, with or without sha256:. None gives
// errdefs.ErrNotFound, more than one errdefs.ErrInvalidArgument.
func (s *Store) Image(nameOrID string) (Image, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, _, err := s.find(nameOrID)
	if err != nil {
		return Image{}, err
	}
	return s.image(id), nil
}

// Config returns an image's configuration, read anew from disk.
func (s *Store) Config(img Image) (ocispec.Image, error) {
	e, err := s.entry(img.ID)
	if err != nil {
		return ocispec.Image{}, err
	}
	c, err := s.readContent(e.manifest)
	return c.image, err
}

// HealthCheck returns how the image says that its containers are checked: a field
// that Docker has added to the configuration (moby/docker-image-spec, "HEALTHCHECK").
// nil: not at all.
func (s *Store) HealthCheck(img Image) (*dockerspec.HealthcheckConfig, error) {
	e, err := s.entry(img.ID)
	if err != nil {
		return nil, err
	}
	data, err := s.readBlob(e.config)
	if err != nil {
		return nil, err
	}
	var c struct {
		Config dockerspec.DockerOCIImageConfigExt `json:"config"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("%w: the image's health check is not as it should be: %w", errdefs.ErrDataLoss, err)
	}
	return c.Config.Healthcheck, nil
}

// Layers returns an image's layers, the lowest first.
func (s *Store) Layers(img Image) ([]Layer, error) {
	e, err := s.entry(img.ID)
	if err != nil {
		return nil, err
	}
	return s.layers(e.content), nil
}

// layers returns the layers of an image's contents, which are in the store.
func (s *Store) layers(c content) []Layer {
	layers := make([]Layer, len(c.layers))
	for i, l := range c.layers {
		layers[i] = Layer{Digest: l.Digest, DiffID: c.diffIDs[i], MediaType: l.MediaType, Size: l.Size, store: s}
	}
	return layers
}

// entry returns the first manifest of an image. Entries do not change once they
// are in the store.
func (s *Store) entry(id digest.Digest) (*entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		if e.broken == nil && e.config.Digest == id {
			return e, nil
		}
	}
	return nil, notHere(id.String())
}

func notHere(nameOrID string) error {
	return fmt.Errorf("%w: no such image: %s: pull it first", errdefs.ErrNotFound, nameOrID)
}

// image puts together what all manifests with one configuration say; there can
// be several, for instance one of docker's kind and one of OCI's. The caller
// holds mu and knows that there is one.
func (s *Store) image(id digest.Digest) Image {
	var img Image
	for _, e := range s.entries {
		if e.broken != nil || e.config.Digest != id {
			continue
		}
		if img.ID == "" {
			img = Image{ID: id, Manifest: e.manifest.Digest, Platform: e.image.Platform, Labels: maps.Clone(e.image.Config.Labels)}
			if e.image.Created != nil {
				img.Created = *e.image.Created
			}
			for _, l := range e.layers {
				img.Size += l.Size
			}
		}
		for _, n := range e.names {
			img.Names = append(img.Names, familiar(n))
		}
		for _, n := range e.repoDigests {
			img.RepoDigests = append(img.RepoDigests, familiar(n))
		}
	}
	return img
}

// find resolves what Image describes. name is the normalised name when it was
// by name. The caller holds mu.
func (s *Store) find(nameOrID string) (id digest.Digest, name string, err error) {
	encoded := strings.TrimPrefix(nameOrID, "sha256:")
	isHex := strings.Trim(encoded, "0123456789abcdef") == ""
	if isHex && len(encoded) == digest.SHA256.Size()*2 {
		return s.findPrefix(nameOrID, encoded)
	}
	named, parseErr := parseName(nameOrID)
	if parseErr == nil {
		for _, e := range s.entries {
			if !slices.Contains(e.names, named.String()) && !slices.Contains(e.repoDigests, named.String()) && !e.hasDigest(named) {
				continue
			}
			if e.broken != nil {
				err = fmt.Errorf("%w: image %s is damaged: pull it again, or remove it: %w", errdefs.ErrDataLoss, nameOrID, e.broken)
			}
			return e.config.Digest, named.String(), err
		}
	}
	if isHex && len(encoded) >= minPrefix {
		return s.findPrefix(nameOrID, encoded)
	}
	if parseErr != nil {
		return "", "", parseErr
	}
	return "", "", notHere(reference.FamiliarString(named))
}

// hasDigest tells whether a name by digest means the entry's own manifest in a
// repository from which it came by way of an index.
func (e *entry) hasDigest(named reference.Named) bool {
	digested, ok := named.(reference.Digested)
	if !ok || digested.Digest() != e.manifest.Digest {
		return false
	}
	return slices.ContainsFunc(e.repoDigests, func(n string) bool { return repository(n) == named.Name() })
}

func (s *Store) findPrefix(nameOrID, prefix string) (id digest.Digest, name string, err error) {
	for _, e := range s.entries {
		if e.broken != nil || !strings.HasPrefix(e.config.Digest.Encoded(), prefix) || e.config.Digest == id {
			continue
		}
		if id != "" {
			return "", "", fmt.Errorf("%w: image ID %s is ambiguous: give more digits", errdefs.ErrInvalidArgument, nameOrID)
		}
		id = e.config.Digest
	}
	if id == "" {
		return "", "", notHere(nameOrID)
	}
	return id, "", nil
}
