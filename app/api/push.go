package api

import (
	"net/http"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types"
	"github.com/moby/moby/api/types/jsonstream"

	"github.com/skerry-app/skerry/registry"
)

// pushImage brings an image to its registry. A client that goes away ends the
// push, as with Docker.
func (s *Server) pushImage(w http.ResponseWriter, r *http.Request, name string) error {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return invalid("%q is not the name of an image: %v", name, err)
	}
	tag := r.URL.Query().Get("tag")
	if tag == "" {
		return notImplemented("pushing all tags of an image is")
	}
	tagged, err := reference.WithTag(reference.TrimNamed(ref), tag)
	if err != nil {
		return invalid("tag %q: %v", tag, err)
	}
	p := &pushStream{progressStream: progressStream{out: newStream(w, types.MediaTypeJSON)}}
	pushed, err := s.engine.Push(r.Context(), tagged.String(), registry.PushOptions{Auth: credentials(r), Progress: p.progress})
	if err != nil {
		return s.failTransfer(&p.progressStream, "push", tagged, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.send(jsonstream.Message{Status: tag + ": digest: " + pushed.String()})
	return nil
}

// pushStream tells a client how a push goes on.
type pushStream struct{ progressStream }

// progress passes on what the registry tells.
func (p *pushStream) progress(r registry.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.State {
	case registry.StateWaiting:
		p.layer(r.Digest, "Preparing", 0, 0)
	case registry.StateUploading:
		p.layer(r.Digest, "Pushing", r.Offset, r.Total)
	case registry.StateDone:
		p.layer(r.Digest, "Pushed", 0, 0)
	case registry.StateExists:
		p.layer(r.Digest, "Layer already exists", 0, 0)
	}
}
