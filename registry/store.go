package registry

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// ingestDir holds what is not finished; Open empties it.
	ingestDir = "ingest"
	// layoutFile is what an oci-layout file of this version says.
	layoutFile = `{"imageLayoutVersion":"` + ocispec.ImageLayoutVersion + `"}`
)

// Options change how a Store works. The zero value is ready for use.
type Options struct {
	// Log hears what no error can tell; nil discards it.
	Log *slog.Logger
	// AuthFile is a file in the format of containers-auth.json(5) or docker's
	// config.json. Empty: REGISTRY_AUTH_FILE, or else the places where podman and
	// docker keep theirs.
	AuthFile string
	// Mirrors are asked before the registry that is their key; both are
	// host[:port][/path].
	Mirrors map[string][]string
}

// Store is a directory of images. One process may have it open, once; the
// caller sees to that with a lock of its own. Its methods may be called from any
// goroutine.
type Store struct {
	dir      string
	log      *slog.Logger
	authFile string
	mirrors  string // path of the file that tells of them; empty: there are none
	patience patience

	mu       sync.Mutex
	entries  []*entry
	pins     map[digest.Digest]int           // blobs that a pull needs, by number of pulls
	fetching map[digest.Digest]chan struct{} // closed when the fetch of the blob ends
}

// patience is how long a store waits for registries.
type patience struct {
	answer   time.Duration // for a manifest
	stall    time.Duration // for the next byte of a blob
	attempts int           // at anything
	pause    time.Duration // before the second attempt; doubles for each further one
}

// Open takes a directory into use, makes it when it is not there and clears up
// what a killed process has left in it. When index.json is damaged Open fails
// and deletes nothing.
func Open(dir string, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.AuthFile == "" {
		o.AuthFile = os.Getenv("REGISTRY_AUTH_FILE")
	}
	s := &Store{
		dir: dir, log: o.Log, authFile: o.AuthFile,
		patience: patience{answer: answerTimeout, stall: stallTimeout, attempts: maxAttempts, pause: firstPause},
		pins:     map[digest.Digest]int{},
		fetching: map[digest.Digest]chan struct{}{},
	}
	for _, d := range []string{filepath.Join(ocispec.ImageBlobsDir, string(digest.SHA256)), ingestDir} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return nil, fmt.Errorf("open image store %s: %w", dir, s.diskError(err))
		}
	}
	if err := s.useMirrors(o.Mirrors); err != nil {
		return nil, fmt.Errorf("open image store %s: %w", dir, err)
	}
	if err := s.readIndex(); err != nil {
		return nil, fmt.Errorf("open image store %s: %w", dir, err)
	}
	if err := s.clear(); err != nil {
		return nil, fmt.Errorf("open image store %s: %w", dir, err)
	}
	return s, nil
}

// clear deletes what no image needs.
func (s *Store) clear() error {
	ingest := filepath.Join(s.dir, ingestDir)
	left, err := os.ReadDir(ingest)
	if err != nil {
		return err
	}
	for _, e := range left {
		if err := os.RemoveAll(filepath.Join(ingest, e.Name())); err != nil {
			return fmt.Errorf("delete an unfinished pull: %w", err)
		}
	}
	blobs, err := os.ReadDir(filepath.Join(s.dir, ocispec.ImageBlobsDir, string(digest.SHA256)))
	if err != nil {
		return err
	}
	var all []digest.Digest
	for _, e := range blobs {
		d := digest.NewDigestFromEncoded(digest.SHA256, e.Name())
		if d.Validate() != nil {
			s.log.Warn("a file in the image store is no blob", "path", filepath.Join(s.dir, ocispec.ImageBlobsDir, e.Name()))
			continue
		}
		all = append(all, d)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(all)
	return nil
}
