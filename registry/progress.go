package registry

import (
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
)

// State is what happens to a layer.
type State string

// The states of a layer, in the order in which a pull or push goes through them.
const (
	StateResolved    State = "resolved"    // sent first and once: Digest is what the reference means in the registry
	StateWaiting     State = "waiting"     // for its turn, or for another pull that fetches it
	StateDownloading State = "downloading" // Offset of Total bytes are there
	StateUploading   State = "uploading"
	StateVerifying   State = "verifying" // all bytes are there
	StateDone        State = "done"
	StateExists      State = "exists" // it was there before
)

// progressPause is the least time between two reports about bytes of one layer.
const progressPause = 100 * time.Millisecond

// Progress reports on one layer of a pull or push. Received and Expected count
// bytes of all the image's layers, without those that were there before.
type Progress struct {
	Digest             digest.Digest
	State              State
	Offset, Total      int64
	Received, Expected int64
}

// reporter passes progress on to one listener, one report at a time.
type reporter struct {
	listener func(Progress)

	mu       sync.Mutex
	offsets  map[digest.Digest]int64
	sizes    map[digest.Digest]int64
	reported map[digest.Digest]time.Time
}

func newReporter(listener func(Progress)) *reporter {
	return &reporter{listener: listener, offsets: map[digest.Digest]int64{}, sizes: map[digest.Digest]int64{}, reported: map[digest.Digest]time.Time{}}
}

// announce adds a blob to those that are reported on.
func (r *reporter) announce(d digest.Digest, size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sizes[d] = size
	r.send(d, StateWaiting, 0, size)
}

// resolved reports what the reference means in the registry.
func (r *reporter) resolved(d digest.Digest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.send(d, StateResolved, 0, 0)
}

// state reports the new state of a blob that has been announced.
func (r *reporter) state(d digest.Digest, state State, offset int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	total, ok := r.sizes[d]
	if !ok {
		return
	}
	if r.offsets[d] = offset; state == StateExists {
		delete(r.sizes, d)
	}
	r.send(d, state, offset, total)
}

// bytes reports how far a blob is, unless it did so a moment ago.
func (r *reporter) bytes(d digest.Digest, state State, offset int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	total, ok := r.sizes[d]
	if !ok {
		return
	}
	if r.offsets[d] = offset; time.Since(r.reported[d]) >= progressPause {
		r.send(d, state, offset, total)
	}
}

func (r *reporter) send(d digest.Digest, state State, offset, total int64) {
	if r.listener == nil {
		return
	}
	r.reported[d] = time.Now()
	p := Progress{Digest: d, State: state, Offset: offset, Total: total}
	for d, size := range r.sizes {
		p.Expected += size
		p.Received += r.offsets[d]
	}
	r.listener(p)
}
