package api

import (
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/opencontainers/go-digest"

	"github.com/skerry-app/skerry/registry"
)

// pullStream tells a client how a pull goes on.
type pullStream struct {
	progressStream
	name, tag string          // "library/alpine", "latest" or a digest
	digest    digest.Digest   // what the name means in the registry
	fetched   []digest.Digest // layers that were not here
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
