package api

import (
	"encoding/json"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/opencontainers/go-digest"
)

// progressStream tells a client how a transfer of layers goes on, in the
// messages that the docker command draws its bars from. A client that does not
// read holds the transfer up. Methods of those that have one may be called from
// any goroutine.
type progressStream struct {
	out *stream
	mu  sync.Mutex
}

// progressMessage has what jsonstream.Message lacks: older clients look for
// "error" beside "errorDetail".
type progressMessage struct {
	jsonstream.Message
	ErrorMessage string `json:"error,omitempty"`
}

// layer says what happens to a layer; mu is held.
func (p *progressStream) layer(d digest.Digest, status string, current, total int64) {
	p.send(jsonstream.Message{ID: shortDigest(d), Status: status, Progress: &jsonstream.Progress{Current: current, Total: total}})
}

// failed ends the stream of a transfer that did not succeed. It tells whether
// there is a stream; otherwise the error needs an answer of its own.
func (p *progressStream) failed(err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.out.started {
		return false
	}
	p.write(progressMessage{Message: jsonstream.Message{Error: &jsonstream.Error{Code: status(err), Message: err.Error()}}, ErrorMessage: err.Error()})
	return true
}

func (p *progressStream) send(m jsonstream.Message) { p.write(progressMessage{Message: m}) }

func (p *progressStream) write(m progressMessage) {
	data, err := json.Marshal(m)
	if err != nil {
		return // there is nothing but text and numbers in it
	}
	_, _ = p.out.Write(append(data, "\r\n"...)) // a client that went away ends the request's context
}

// failTransfer ends a pull or push that did not succeed: in its stream, or by
// the error that it returns.
func (s *Server) failTransfer(p *progressStream, action string, ref reference.Named, err error) error {
	err = noPrompt(err)
	if !p.failed(err) {
		return err
	}
	s.log.Info(action, "image", ref.String(), "error", err)
	return nil
}

// noPrompt makes another error of one that stands for the status 401: docker
// answers that with a prompt for a password, even where nobody is there to read
// it.
func noPrompt(err error) error {
	if errdefs.IsUnauthorized(err) {
		return errdefs.ErrPermissionDenied.WithMessage(err.Error())
	}
	return err
}
