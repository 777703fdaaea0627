package api

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/opencontainers/go-digest"
)

// progressInterval is the least time between two messages on how far a layer
// has come: a terminal shows no more.
const progressInterval = 100 * time.Millisecond

// pullStream tells a client how a pull goes on, in the messages that the
// docker command draws its bars from. A client that does not read holds the
// pull up. Its methods may be called from any goroutine.
type pullStream struct {
	mu     sync.Mutex
	out    *stream
	name   string                      // "library/alpine"
	tag    string                      // "latest", or the digest
	shown  map[digest.Digest]time.Time // when a layer's bar was moved last
	pulled bool                        // a layer was fetched
}

// pullMessage has what jsonstream.Message lacks: clients from before API 1.53
// look for "error" beside "errorDetail".
type pullMessage struct {
	jsonstream.Message
	ErrorMessage string `json:"error,omitempty"`
}

func newPullStream(out *stream, name, tag string) *pullStream {
	return &pullStream{out: out, name: name, tag: tag, shown: map[digest.Digest]time.Time{}}
}

// send writes a message; the first one comes after a heading. mu is held.
func (p *pullStream) send(m jsonstream.Message) {
	if !p.out.started {
		p.write(pullMessage{Message: jsonstream.Message{Status: "Pulling from " + p.name, ID: p.tag}})
	}
	p.write(pullMessage{Message: m})
}

func (p *pullStream) write(m pullMessage) {
	data, err := json.Marshal(m)
	if err != nil {
		return // strings and numbers alone
	}
	_, _ = p.out.Write(append(data, "\r\n"...)) // a client that went away ends the request's context
}

// status says what happens to a layer: "Pulling fs layer", "Already exists".
func (p *pullStream) status(layer digest.Digest, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.send(jsonstream.Message{ID: shortDigest(layer), Status: text, Progress: &jsonstream.Progress{}})
}

// downloading moves a layer's bar, unless it was moved a moment ago.
func (p *pullStream) downloading(layer digest.Digest, current, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pulled = true
	if now := time.Now(); now.Sub(p.shown[layer]) >= progressInterval {
		p.shown[layer] = now
		p.send(jsonstream.Message{ID: shortDigest(layer), Status: "Downloading", Progress: &jsonstream.Progress{Current: current, Total: total}})
	}
}

// done ends the stream of a pull that succeeded. ref is the name for people.
func (p *pullStream) done(ref string, d digest.Digest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.send(jsonstream.Message{Status: "Digest: " + d.String()})
	text := "Status: Image is up to date for "
	if p.pulled {
		text = "Status: Downloaded newer image for "
	}
	p.send(jsonstream.Message{Status: text + ref})
}

// failed ends the stream of a pull that did not succeed; it tells whether
// there is a stream, otherwise the error needs an answer of its own.
func (p *pullStream) failed(err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.out.started {
		return false
	}
	p.write(pullMessage{Message: jsonstream.Message{Error: &jsonstream.Error{Code: status(err), Message: err.Error()}}, ErrorMessage: err.Error()})
	return true
}
