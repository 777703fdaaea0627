package registry

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// annotationName is where containerd and docker look for an image's full name
	// in a layout (containerd, core/images/annotations.go).
	annotationName = "io.containerd.image.name"
	// archiveManifest is the table of contents of docker's image archives.
	archiveManifest = "manifest.json"
)

// archiveImage is an entry of manifest.json, which docker save writes and docker
// load reads (moby, image/spec/v1.2.md, "Combined Image JSON + Filesystem
// Changeset Format").
type archiveImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// Save writes images as one tar archive that is an OCI image layout and one of
// docker's image archives at the same time, as docker 25 and later do. Saved by
// ID, an image takes all its names along.
func (s *Store) Save(ctx context.Context, w io.Writer, namesOrIDs ...string) error {
	a := archive{store: s, tar: tar.NewWriter(w), written: map[digest.Digest]bool{}}
	for _, n := range namesOrIDs {
		if err := a.add(ctx, n); err != nil {
			return fmt.Errorf("save %s: %w", n, err)
		}
	}
	if err := a.finish(); err != nil {
		return fmt.Errorf("save images: %w", err)
	}
	return nil
}

// archive is an image archive as it is written.
type archive struct {
	store   *Store
	tar     *tar.Writer
	written map[digest.Digest]bool
	index   []ocispec.Descriptor
	images  []archiveImage
}

func (a *archive) add(ctx context.Context, nameOrID string) error {
	e, tags, unpin, err := a.store.forSaving(nameOrID)
	if err != nil {
		return err
	}
	defer unpin()
	blobs := append([]ocispec.Descriptor{e.manifest, e.config}, e.layers...)
	for _, d := range blobs {
		if err := a.blob(ctx, d); err != nil {
			return err
		}
	}
	img := archiveImage{Config: archivePath(e.config.Digest), RepoTags: []string{}, Layers: []string{}}
	for _, l := range e.layers {
		img.Layers = append(img.Layers, archivePath(l.Digest))
	}
	if len(tags) == 0 {
		a.index = append(a.index, e.manifest)
	}
	for _, t := range tags {
		d := e.manifest
		d.Annotations = map[string]string{annotationName: t, ocispec.AnnotationRefName: t}
		a.index = append(a.index, d)
		img.RepoTags = append(img.RepoTags, familiar(t))
	}
	a.images = append(a.images, img)
	return nil
}

// forSaving finds an image, pins its blobs and tells which names go along.
func (s *Store) forSaving(nameOrID string) (e *entry, tags []string, unpin func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, name, err := s.find(nameOrID)
	if err != nil {
		return nil, nil, nil, err
	}
	tags, _ = s.references(id)
	if name != "" {
		tags = slices.DeleteFunc(tags, func(t string) bool { return t != name })
	}
	i := slices.IndexFunc(s.entries, func(e *entry) bool {
		return e.broken == nil && e.config.Digest == id && (name == "" || slices.Contains(e.names, name) || len(tags) == 0)
	})
	e = s.entries[i]
	for _, d := range e.blobs() {
		s.pins[d]++
	}
	return e, tags, func() { s.unpin(e.blobs()) }, nil
}

func archivePath(d digest.Digest) string {
	return path.Join(ocispec.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}

func (a *archive) blob(ctx context.Context, d ocispec.Descriptor) error {
	if a.written[d.Digest] {
		return nil
	}
	a.written[d.Digest] = true
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f, err := a.store.openBlob(d)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := a.header(archivePath(d.Digest), d.Size); err != nil {
		return err
	}
	_, err = io.Copy(a.tar, readerFunc(func(b []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return f.Read(b)
	}))
	return err
}

func (a *archive) header(name string, size int64) error {
	return a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0)})
}

// finish writes the tables of contents.
func (a *archive) finish() error {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: a.index}
	layout := ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}
	for _, f := range []struct {
		name    string
		content any
	}{{ocispec.ImageLayoutFile, layout}, {ocispec.ImageIndexFile, index}, {archiveManifest, a.images}} {
		data, err := json.Marshal(f.content)
		if err != nil {
			return err
		}
		if err := a.header(f.name, int64(len(data))); err != nil {
			return err
		}
		if _, err := a.tar.Write(data); err != nil {
			return err
		}
	}
	return a.tar.Close()
}

// nameIn returns the image name in a layout's annotations, normalised. Tools
// that write only a tag there mean no name that could be used.
func nameIn(annotations map[string]string) string {
	for _, key := range []string{annotationName, ocispec.AnnotationRefName} {
		named, err := reference.ParseNormalizedNamed(annotations[key])
		if _, tagged := named.(reference.NamedTagged); err == nil && tagged {
			if _, digested := named.(reference.Digested); !digested {
				return named.String()
			}
		}
	}
	return ""
}
