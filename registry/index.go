package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// maxIndex limits index.json in bytes.
	maxIndex = 64 << 20
	// annotationRepoDigests holds, divided by spaces, the names by digest under
	// which registries have an image.
	annotationRepoDigests = "app.skerry.image.repo-digests"
)

// entry is one manifest in the store with all that refers to it.
type entry struct {
	manifest    ocispec.Descriptor
	names       []string // normalised, with tag
	repoDigests []string // normalised, with digest
	content
	broken error // why manifest or configuration cannot be read
}

// blobs returns the digests of all that belongs to an entry.
func (e *entry) blobs() []digest.Digest {
	all := []digest.Digest{e.manifest.Digest, e.config.Digest}
	for _, l := range e.layers {
		all = append(all, l.Digest)
	}
	return all
}

// readIndex reads index.json, or begins one.
func (s *Store) readIndex() error {
	if err := s.checkLayout(); err != nil {
		return err
	}
	path := filepath.Join(s.dir, ocispec.ImageIndexFile)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s.commit(nil)
	} else if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxIndex+1))
	if err != nil {
		return err
	}
	entries, err := parseEntries(data)
	if err != nil {
		return fmt.Errorf("%w: %s is damaged: %w: repair it, or move the directory away and pull the images again", errdefs.ErrDataLoss, path, err)
	}
	for _, e := range entries {
		if e.content, e.broken = s.readContent(e.manifest); e.broken != nil {
			s.log.Warn("an image cannot be read", "names", e.names, "manifest", e.manifest.Digest, "error", e.broken)
		}
	}
	s.entries = entries
	return nil
}

// checkLayout reads the file that makes a directory an image layout, or writes
// it.
func (s *Store) checkLayout() error {
	path := filepath.Join(s.dir, ocispec.ImageLayoutFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s.writeFile(path, []byte(layoutFile))
	} else if err != nil {
		return err
	}
	var layout ocispec.ImageLayout
	if err := json.Unmarshal(data, &layout); err != nil {
		return fmt.Errorf("%w: %s is damaged: %w: it should read %s", errdefs.ErrDataLoss, path, err, layoutFile)
	}
	if layout.Version != ocispec.ImageLayoutVersion {
		return fmt.Errorf("%w: %s says that the images are stored in version %q; this program knows %s",
			errdefs.ErrNotImplemented, path, layout.Version, ocispec.ImageLayoutVersion)
	}
	return nil
}

// parseEntries reads index.json. A name or a digest that is not one makes it
// fail as a whole: what an entry means that cannot be read is not known, and
// unused blobs are deleted.
func parseEntries(data []byte) ([]*entry, error) {
	if len(data) > maxIndex {
		return nil, fmt.Errorf("it has more than %d bytes", maxIndex)
	}
	var index ocispec.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, err
	}
	if index.SchemaVersion != 2 {
		return nil, fmt.Errorf("its schemaVersion is %d instead of 2", index.SchemaVersion)
	}
	byDigest := map[digest.Digest]*entry{}
	var entries []*entry
	for i, d := range index.Manifests {
		if err := checkDigest(d.Digest); err != nil {
			return nil, fmt.Errorf("manifest %d: %w", i, err)
		}
		e := byDigest[d.Digest]
		if e == nil {
			e = &entry{manifest: ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}}
			byDigest[d.Digest] = e
			entries = append(entries, e)
		}
		if err := e.annotate(d.Annotations); err != nil {
			return nil, fmt.Errorf("manifest %d: %w", i, err)
		}
	}
	return entries, nil
}

// annotate takes over the names in a descriptor's annotations.
func (e *entry) annotate(annotations map[string]string) error {
	if name, ok := annotations[ocispec.AnnotationRefName]; ok {
		named, err := reference.ParseNormalizedNamed(name)
		if _, tagged := named.(reference.Tagged); err != nil || !tagged || named.String() != name {
			return fmt.Errorf("%q is not a full image name", name)
		}
		e.names = add(e.names, name)
	}
	for _, name := range strings.Fields(annotations[annotationRepoDigests]) {
		named, err := reference.ParseNormalizedNamed(name)
		if _, canonical := named.(reference.Canonical); err != nil || !canonical || named.String() != name {
			return fmt.Errorf("%q is not an image name with a digest", name)
		}
		e.repoDigests = add(e.repoDigests, name)
	}
	return nil
}

// add returns a list with one more element, once.
func add(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// without returns a copy of a list that lacks an element.
func without(list []string, s string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(have string) bool { return have == s })
}

// commit replaces index.json and, when that has worked, what the store knows.
// An entry has one descriptor for each of its names (image-spec,
// image-layout.md); one that neither can be read nor has a name is left out. The
// caller holds mu, or nobody else has the Store yet.
func (s *Store) commit(entries []*entry) error {
	entries = slices.DeleteFunc(entries, func(e *entry) bool {
		return e.broken != nil && len(e.names) == 0 && len(e.repoDigests) == 0
	})
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
	for _, e := range entries {
		names := e.names
		if len(names) == 0 {
			names = []string{""}
		}
		for i, name := range names {
			d := e.manifest
			d.Annotations = map[string]string{}
			if name != "" {
				d.Annotations[ocispec.AnnotationRefName] = name
			}
			if i == 0 && len(e.repoDigests) > 0 {
				d.Annotations[annotationRepoDigests] = strings.Join(e.repoDigests, " ")
			}
			index.Manifests = append(index.Manifests, d)
		}
	}
	data, err := json.MarshalIndent(index, "", "\t")
	if err != nil {
		return err
	}
	if err := s.writeFile(filepath.Join(s.dir, ocispec.ImageIndexFile), data); err != nil {
		return err
	}
	s.entries = entries
	return nil
}

// cloned returns the entries for changing; commit puts them in force.
func (s *Store) cloned() []*entry {
	entries := make([]*entry, len(s.entries))
	for i, e := range s.entries {
		c := *e
		c.names, c.repoDigests = slices.Clone(e.names), slices.Clone(e.repoDigests)
		entries[i] = &c
	}
	return entries
}

// record adds an image, or names to one that is there. A name that another
// image has moves; that image stays, if need be without a name, as with docker.
func (s *Store) record(m ocispec.Descriptor, c content, name, repoDigest string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, e := s.cloned(), &entry{}
	if i := slices.IndexFunc(entries, func(e *entry) bool { return e.manifest.Digest == m.Digest }); i >= 0 {
		e = entries[i]
		entries = slices.Delete(entries, i, i+1)
	}
	// Of several manifests with one configuration the first speaks for the image.
	entries = slices.Insert(entries, 0, e)
	e.manifest, e.content, e.broken = m, c, nil
	for _, other := range entries {
		if other != e {
			other.names = without(other.names, name)
			other.repoDigests = without(other.repoDigests, repoDigest)
		}
	}
	if name != "" {
		e.names = add(e.names, name)
	}
	if repoDigest != "" {
		e.repoDigests = add(e.repoDigests, repoDigest)
	}
	return s.commit(entries)
}
