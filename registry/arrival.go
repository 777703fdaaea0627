package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// errRestarted means that a blob whose beginning has been read is being fetched
// anew.
var errRestarted = errors.New("the download was begun again")

// arrival is a blob on its way. What of it is on disk can be read already, but
// nobody reads to its end before all of it has matched its digest.
type arrival struct {
	blob ocispec.Descriptor

	mu      sync.Mutex
	news    *sync.Cond
	attempt int
	path    string // of the unfinished file
	length  int64  // bytes in it
	whole   bool   // it is in the store
}

func newArrival(blob ocispec.Descriptor) *arrival {
	a := &arrival{blob: blob}
	a.news = sync.NewCond(&a.mu)
	return a
}

// begin says that the blob is being written to a file from its start.
func (a *arrival) begin(path string) {
	a.change(func() { a.attempt, a.path, a.length = a.attempt+1, path, 0 })
}

// Write says that more is in the file.
func (a *arrival) Write(p []byte) (int, error) {
	a.change(func() { a.length += int64(len(p)) })
	return len(p), nil
}

// arrived says that the blob is in the store.
func (a *arrival) arrived() {
	a.change(func() { a.length, a.whole = a.blob.Size, true })
}

func (a *arrival) attempts() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.attempt
}

func (a *arrival) change(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	a.news.Broadcast()
}

// open returns the blob as it arrives. Where it never does, reading ends with
// the context only; where its download is begun again, with errRestarted.
func (a *arrival) open(ctx context.Context, s *Store) io.ReadCloser {
	r := &arriving{ctx: ctx, arrival: a, store: s}
	r.stop = context.AfterFunc(ctx, func() { a.change(func() {}) })
	return r
}

// arriving reads a blob that is on its way.
type arriving struct {
	ctx     context.Context
	stop    func() bool
	store   *Store
	arrival *arrival
	attempt int
	file    *os.File
	offset  int64
}

func (r *arriving) Read(p []byte) (int, error) {
	have, whole, err := r.wait()
	if err != nil {
		return 0, err
	}
	if whole && r.offset == have {
		return 0, io.EOF
	}
	if r.file == nil {
		if err := r.openFile(); err != nil {
			return 0, err
		}
	}
	n, err := r.file.ReadAt(p[:min(int64(len(p)), have-r.offset)], r.offset)
	if r.attempt != r.arrival.attempts() {
		return 0, errRestarted // what was read may be of the new download
	}
	if err != nil {
		return 0, fmt.Errorf("read blob %s as it arrives: %w", r.arrival.blob.Digest, err)
	}
	r.offset += int64(n)
	return n, nil
}

// wait returns how many bytes are there, more than have been read or all.
func (r *arriving) wait() (have int64, whole bool, err error) {
	a := r.arrival
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		switch {
		case r.ctx.Err() != nil:
			return 0, false, context.Cause(r.ctx)
		case r.offset > 0 && r.attempt != a.attempt:
			return 0, false, errRestarted
		case a.whole, a.length > r.offset:
			r.attempt = a.attempt
			return a.length, a.whole, nil
		}
		a.news.Wait()
	}
}

// openFile opens the unfinished file, or the blob when it is whole by now.
func (r *arriving) openFile() (err error) {
	r.arrival.mu.Lock()
	path := r.arrival.path
	r.arrival.mu.Unlock()
	if path != "" {
		if r.file, err = os.Open(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	r.file, err = r.store.openBlob(r.arrival.blob)
	return err
}

func (r *arriving) Close() error {
	r.stop()
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}
