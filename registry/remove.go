package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// Deleted is one thing that Remove has done; one of its fields is set.
type Deleted struct {
	Untagged string // a name, as users write it
	Deleted  string // an image ID
}

// Tag gives an image another name. A name that another image has moves.
func (s *Store) Tag(_ context.Context, nameOrID, ref string) error {
	named, err := parseName(ref)
	if err != nil {
		return fmt.Errorf("tag %s: %w", nameOrID, err)
	}
	if _, ok := named.(reference.Digested); ok {
		return fmt.Errorf("tag %s: %w: a name with a digest cannot be given: %s", nameOrID, errdefs.ErrInvalidArgument, ref)
	}
	if strings.HasPrefix(ref, "sha256:") {
		return fmt.Errorf("tag %s: %w: %s would be taken for an image ID", nameOrID, errdefs.ErrInvalidArgument, ref)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id, _, err := s.find(nameOrID)
	if err != nil {
		return fmt.Errorf("tag %s: %w", nameOrID, err)
	}
	entries := s.cloned()
	for _, e := range entries {
		e.names = without(e.names, named.String())
	}
	i := slices.IndexFunc(entries, func(e *entry) bool { return e.broken == nil && e.config.Digest == id })
	entries[i].names = append(entries[i].names, named.String())
	if err := s.commit(entries); err != nil {
		return fmt.Errorf("tag %s as %s: %w", nameOrID, ref, err)
	}
	return nil
}

// Remove takes a name off an image and deletes the image with its last name;
// with an ID it takes all names. An ID of an image with names in several
// repositories, or several tags, gives errdefs.ErrConflict unless forced. Blobs
// that no other image needs are deleted; who has one open can read on.
func (s *Store) Remove(_ context.Context, nameOrID string, force bool) ([]Deleted, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, name, err := s.find(nameOrID)
	if errors.Is(err, errdefs.ErrDataLoss) {
		return s.removeBroken(name)
	} else if err != nil {
		return nil, fmt.Errorf("remove %s: %w", nameOrID, err)
	}
	tags, digests := s.references(id)
	if name == "" && !force && !single(tags, digests) {
		return nil, fmt.Errorf("remove %s: %w: the image has several names (%s): remove these, or force it",
			nameOrID, errdefs.ErrConflict, strings.Join(familiarAll(tags, digests), ", "))
	}
	names := append(slices.Clone(tags), digests...)
	if name != "" {
		names = s.untag(name, tags, digests)
	}
	var done []Deleted
	for _, n := range names {
		done = append(done, Deleted{Untagged: familiar(n)})
	}
	deletes := len(names) == len(tags)+len(digests)
	entries, blobs := s.cloned(), []digest.Digest(nil)
	for _, e := range entries {
		if e.broken == nil && e.config.Digest == id {
			for _, n := range names {
				e.names, e.repoDigests = without(e.names, n), without(e.repoDigests, n)
			}
			if deletes {
				blobs = append(blobs, e.blobs()...)
			}
		}
	}
	if deletes {
		done = append(done, Deleted{Deleted: id.String()})
		entries = slices.DeleteFunc(entries, func(e *entry) bool { return e.broken == nil && e.config.Digest == id })
	}
	if err := s.commitRemoval(entries, blobs); err != nil {
		return nil, fmt.Errorf("remove %s: %w", nameOrID, err)
	}
	return done, nil
}

// removeBroken takes the name off an image that cannot be read, and forgets the
// image with its last name. The caller holds mu.
func (s *Store) removeBroken(name string) ([]Deleted, error) {
	entries := s.cloned()
	for _, e := range entries {
		e.names, e.repoDigests = without(e.names, name), without(e.repoDigests, name)
	}
	if err := s.commit(entries); err != nil {
		return nil, fmt.Errorf("remove %s: %w", familiar(name), err)
	}
	return []Deleted{{Untagged: familiar(name)}}, nil
}

// commitRemoval writes the index and then deletes blobs. On a full disk there
// may be no room for the new index; then the layers go first. What a crash in
// between leaves is an image without its layers, which the user wanted gone.
func (s *Store) commitRemoval(entries []*entry, blobs []digest.Digest) error {
	old := s.entries
	err := s.commit(entries)
	if errors.Is(err, errdefs.ErrResourceExhausted) {
		s.entries = entries
		s.sweep(s.onlyLayers(old, blobs))
		if err = s.commit(entries); err != nil {
			s.entries = old
		}
	}
	if err != nil {
		return err
	}
	s.sweep(blobs)
	return nil
}

// onlyLayers leaves out manifests and configurations.
func (s *Store) onlyLayers(entries []*entry, blobs []digest.Digest) []digest.Digest {
	documents := map[digest.Digest]bool{}
	for _, e := range entries {
		documents[e.manifest.Digest], documents[e.config.Digest] = true, true
	}
	return slices.DeleteFunc(slices.Clone(blobs), func(d digest.Digest) bool { return documents[d] })
}

// references returns all names of an image, normalised. The caller holds mu.
func (s *Store) references(id digest.Digest) (tags, digests []string) {
	for _, e := range s.entries {
		if e.broken == nil && e.config.Digest == id {
			tags, digests = append(tags, e.names...), append(digests, e.repoDigests...)
		}
	}
	return tags, digests
}

// single tells whether names are at most one tag with the digests of its own
// repository; then it is clear what removing the image by its ID takes away.
func single(tags, digests []string) bool {
	if len(tags) > 1 {
		return false
	}
	repositories := map[string]bool{}
	for _, n := range append(slices.Clone(tags), digests...) {
		repositories[repository(n)] = true
	}
	return len(repositories) <= 1
}

// untag returns the names that go with one: a repository's digests go with its
// last tag.
func (s *Store) untag(name string, tags, digests []string) []string {
	var names []string
	if slices.Contains(tags, name) || slices.Contains(digests, name) {
		names = []string{name}
	}
	same := func(n string) bool { return n != name && repository(n) == repository(name) }
	// A digest that is not among the names is that of the manifest, which stands
	// for the digest of the index that it came from.
	if len(names) == 0 || slices.Contains(tags, name) && !slices.ContainsFunc(tags, same) {
		for _, d := range digests {
			if same(d) {
				names = append(names, d)
			}
		}
	}
	return names
}

func familiarAll(lists ...[]string) []string {
	var all []string
	for _, n := range slices.Concat(lists...) {
		all = append(all, familiar(n))
	}
	return all
}
