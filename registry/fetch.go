package registry

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/containerd/errdefs"
	"github.com/containers/image/v5/pkg/blobinfocache/none"
	"github.com/containers/image/v5/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// blob brings a blob into the store. The caller has pinned it. When another
// pull fetches the same blob this one waits, and takes over should that fail.
func (p *pull) blob(ctx context.Context, d ocispec.Descriptor) error {
	for {
		done, state := p.store.claim(d)
		switch state {
		case StateExists:
			p.report.state(d.Digest, StateExists, d.Size)
			p.arrival(d).arrived()
			return nil
		case StateDownloading:
			err := p.store.patience.retry(ctx, func(ctx context.Context) error { return p.download(ctx, d) })
			p.store.release(d.Digest, done)
			if err == nil {
				p.arrival(d).arrived()
			}
			return err
		}
		select {
		case <-done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// arrival returns what tells how far a blob is. Nobody looks at that of the
// configuration.
func (p *pull) arrival(d ocispec.Descriptor) *arrival {
	if a := p.arrivals[d.Digest]; a != nil {
		return a
	}
	return newArrival(d)
}

// claim tells whether a blob exists, is the caller's to download, or has to be
// waited for.
func (s *Store) claim(d ocispec.Descriptor) (done chan struct{}, state State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if done, busy := s.fetching[d.Digest]; busy {
		return done, StateWaiting
	}
	if s.hasBlob(d) {
		return nil, StateExists
	}
	done = make(chan struct{})
	s.fetching[d.Digest] = done
	return done, StateDownloading
}

func (s *Store) release(d digest.Digest, done chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.fetching, d)
	close(done)
}

// download fetches a blob once and puts it in its place when it is whole.
func (p *pull) download(ctx context.Context, d ocispec.Descriptor) (err error) {
	ctx, feed, stop := watchdog(ctx, p.store.patience.stall)
	defer stop()
	defer func() { err = stalled(ctx, err) }()
	p.report.state(d.Digest, StateDownloading, 0)
	body, _, err := p.source.GetBlob(ctx, types.BlobInfo{Digest: d.Digest, Size: d.Size}, none.NoCache)
	if err != nil {
		if isUnknown(err) {
			return fmt.Errorf("%w in the registry, which has the image's manifest: push the image again: %w", errdefs.ErrNotFound, err)
		}
		return err
	}
	defer body.Close()
	path := filepath.Join(p.dir, d.Digest.Encoded())
	arrival := p.arrival(d)
	arrival.begin(path)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return p.store.diskError(err)
	}
	defer f.Close()
	hash := sha256.New()
	var got int64
	from := readerFunc(func(b []byte) (int, error) {
		n, err := body.Read(b)
		feed()
		got += int64(n)
		p.report.bytes(d.Digest, StateDownloading, min(got, d.Size))
		return n, err
	})
	// One byte more than announced shows that there is too much.
	if _, err := io.Copy(io.MultiWriter(f, hash, arrival), io.LimitReader(from, d.Size+1)); err != nil {
		return p.store.diskError(err)
	}
	stop() // what follows is the disk's time
	p.report.state(d.Digest, StateVerifying, min(got, d.Size))
	if got < d.Size {
		return fmt.Errorf("%w: %w: %d of %d bytes came", errdefs.ErrDataLoss, errShort, got, d.Size)
	}
	if sum := digest.NewDigest(digest.SHA256, hash); sum != d.Digest || got > d.Size {
		return fmt.Errorf("%w: the registry sent content with the digest %s: it is damaged on the way or in the registry; push the image again",
			errdefs.ErrDataLoss, sum)
	}
	if err := p.store.publish(f, p.store.blobPath(d.Digest)); err != nil {
		return err
	}
	p.report.state(d.Digest, StateDone, d.Size)
	return nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
