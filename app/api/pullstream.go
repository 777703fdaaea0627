package api

import (
	"encoding/json"
	"sync"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/opencontainers/go-digest"

	"github.com/skerry-app/skerry/registry"
)

// pullStream tells a client how a pull goes on, in the messages that the
// docker command draws its bars from. A client that does not read holds the
// pull up. Its methods may be called from any goroutine.
type pullStream struct {
	out       *stream
	name, tag string // "library/alpine", "latest" or a digest

	mu      sync.Mutex
	digest  digest.Digest   // what the name means in the registry
	fetched []digest.Digest // layers that were not here
}

// pullMessage has what jsonstream.Message lacks: older clients look for
// "error" beside "errorDetail".
type pullMessage struct {
	jsonstream.Message
	ErrorMessage string `json:"error,omitempty"`
}

// progress passes on what the registry tells.
func (p *pullStream) progress(r registry.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.State {
	case registry.StateResolved:
		p.digest = r.Digest
		p.send(jsonstream.Message{ID: p.tag, Status: "Pulling from " + p.name})
	case registry.StateWaiting:
		p.layer(r.Digest, "Pulling fs layer", 0, 0)
	case registry.StateDownloading:
		p.layer(r.Digest, "Downloading", r.Offset, r.Total)
	case registry.StateVerifying:
		p.layer(r.Digest, "Verifying Checksum", 0, 0)
	case registry.StateDone:
		p.fetched = append(p.fetched, r.Digest)
		p.layer(r.Digest, "Download complete", 0, 0)
	case registry.StateExists:
		p.layer(r.Digest, "Already exists", 0, 0)
	}
}

// layer says what happens to a layer; mu is held.
func (p *pullStream) layer(d digest.Digest, status string, current, total int64) {
	p.send(jsonstream.Message{ID: shortDigest(d), Status: status, Progress: &jsonstream.Progress{Current: current, Total: total}})
}

// done ends the stream of a pull that succeeded. ref is the name for people.
func (p *pullStream) done(ref string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.fetched { // only now is the image unpacked
		p.layer(d, "Pull complete", 0, 0)
	}
	p.send(jsonstream.Message{Status: "Digest: " + p.digest.String()})
	text := "Status: Image is up to date for "
	if len(p.fetched) > 0 {
		text = "Status: Downloaded newer image for "
	}
	p.send(jsonstream.Message{Status: text + ref})
}

// failed ends the stream of a pull that did not succeed. It tells whether
// there is a stream; otherwise the error needs an answer of its own.
func (p *pullStream) failed(err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.out.started {
		return false
	}
	p.write(pullMessage{Message: jsonstream.Message{Error: &jsonstream.Error{Code: status(err), Message: err.Error()}}, ErrorMessage: err.Error()})
	return true
}

func (p *pullStream) send(m jsonstream.Message) { p.write(pullMessage{Message: m}) }

func (p *pullStream) write(m pullMessage) {
	data, err := json.Marshal(m)
	if err != nil {
		return // there is nothing but text and numbers in it
	}
	_, _ = p.out.Write(append(data, "\r\n"...)) // a client that went away ends the request's context
}
