package registry

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/containers/image/v5/docker"
	"github.com/containers/image/v5/pkg/blobinfocache/none"
	"github.com/containers/image/v5/types"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// PushOptions change what Push does. The zero value is ready for use.
type PushOptions struct {
	Auth     *Auth          // as in PullOptions
	Progress func(Progress) // as in PullOptions
}

// Push brings an image to the registry that its name says, and returns the
// digest that it has there. What the registry has already is not sent. The
// image has to have the name: errdefs.ErrNotFound otherwise.
func (s *Store) Push(ctx context.Context, ref string, o PushOptions) (digest.Digest, error) {
	d, err := s.push(ctx, ref, o)
	if err != nil {
		return "", fmt.Errorf("push %s: %w", ref, err)
	}
	return d, nil
}

func (s *Store) push(ctx context.Context, ref string, o PushOptions) (digest.Digest, error) {
	name, err := parseName(ref)
	if err != nil {
		return "", err
	}
	if _, ok := name.(reference.Tagged); !ok {
		return "", fmt.Errorf("%w: a name with a digest cannot be pushed: give the image a tag", errdefs.ErrInvalidArgument)
	}
	e, unpin, err := s.named(name.String())
	if err != nil {
		return "", err
	}
	defer unpin()
	sys, known, err := s.system(ctx, name.Name(), o.Auth)
	if err != nil {
		return "", err
	}
	if err := s.upload(ctx, name, e, sys, newReporter(o.Progress)); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", explain(err, reference.Domain(name), known)
	}
	canonical, err := reference.WithDigest(reference.TrimNamed(name), e.manifest.Digest)
	if err != nil {
		return "", err
	}
	return e.manifest.Digest, s.addRepoDigest(e.manifest.Digest, canonical.String())
}

// named returns the image that has a name, and pins its blobs.
func (s *Store) named(name string) (e *entry, unpin func(), err error) {
	s.mu.Lock()
	i := slices.IndexFunc(s.entries, func(e *entry) bool { return e.broken == nil && slices.Contains(e.names, name) })
	if i < 0 {
		s.mu.Unlock()
		return nil, nil, fmt.Errorf("%w: no image has this name: tag one with it first", errdefs.ErrNotFound)
	}
	e = s.entries[i]
	s.mu.Unlock()
	s.pin(e.blobs())
	return e, func() { s.unpin(e.blobs()) }, nil
}

// upload sends blobs, then the manifest, which makes them an image.
func (s *Store) upload(ctx context.Context, name reference.Named, e *entry, sys *types.SystemContext, report *reporter) error {
	ref, err := docker.ParseReference("//" + name.String())
	if err != nil {
		return err
	}
	manifest, err := s.readBlob(e.manifest)
	if err != nil {
		return err
	}
	destination, err := ref.NewImageDestination(ctx, sys)
	if err != nil {
		return err
	}
	defer destination.Close()
	for _, l := range e.layers {
		report.announce(l.Digest, l.Size)
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallelBlobs)
	for _, d := range distinct(append([]ocispec.Descriptor{e.config}, e.layers...)) {
		group.Go(func() error {
			err := s.patience.retry(groupCtx, func(ctx context.Context) error { return s.uploadBlob(ctx, destination, d, e, report) })
			if err != nil {
				return fmt.Errorf("blob %s: %w", d.Digest, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return s.patience.retry(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, s.patience.answer)
		defer cancel()
		return destination.PutManifest(ctx, manifest, nil)
	})
}

func (s *Store) uploadBlob(ctx context.Context, destination types.ImageDestination, d ocispec.Descriptor, e *entry, report *reporter) error {
	// After the last byte the registry may take its time to look at them all.
	ctx, feed, stop := watchdog(ctx, s.patience.answer)
	defer stop()
	info := types.BlobInfo{Digest: d.Digest, Size: d.Size}
	there, _, err := destination.TryReusingBlob(ctx, info, none.NoCache, false)
	if err != nil {
		return stalled(ctx, err)
	}
	if there {
		report.state(d.Digest, StateExists, d.Size)
		return nil
	}
	f, err := s.openBlob(d)
	if err != nil {
		return err
	}
	defer f.Close()
	report.state(d.Digest, StateUploading, 0)
	var sent int64
	counted := readerFunc(func(b []byte) (int, error) {
		n, err := f.Read(b)
		feed()
		sent += int64(n)
		report.bytes(d.Digest, StateUploading, sent)
		return n, err
	})
	if _, err := destination.PutBlob(ctx, io.Reader(counted), info, none.NoCache, d.Digest == e.config.Digest); err != nil {
		return stalled(ctx, err)
	}
	report.state(d.Digest, StateDone, d.Size)
	return nil
}

// addRepoDigest notes that a registry has an image under a digest.
func (s *Store) addRepoDigest(manifest digest.Digest, repoDigest string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := s.cloned()
	for _, e := range entries {
		if e.repoDigests = without(e.repoDigests, repoDigest); e.manifest.Digest == manifest {
			e.repoDigests = append(e.repoDigests, repoDigest)
		}
	}
	return s.commit(entries)
}
