package engine

import (
	"io"
	"log/slog"
	"slices"
	"sync"

	"github.com/skerry-app/skerry/engine/logfile"
)

// hub copies a container's output to its log and to everyone attached. An
// attached client that does not read holds the output up, as a full pipe does;
// nothing is lost and nothing piles up.
type hub struct {
	log  *logfile.Log
	warn *slog.Logger

	order  sync.Mutex // held while a piece is written to all: they see one order
	failed bool       // the log could not be written, which is said once

	mu    sync.Mutex
	sinks []*sink
}

// sink is one attached client.
type sink struct {
	to    map[logfile.Stream]io.Writer
	ended chan struct{} // closed when nothing more will be written
	err   error         // valid after ended: why its writer failed
}

func newHub(dir string, warn *slog.Logger) *hub {
	return &hub{log: logfile.Open(dir, logfile.DefaultSegment), warn: warn}
}

// attach adds a client; what is written from now on reaches it.
func (h *hub) attach(stdout, stderr io.Writer) *sink {
	s := &sink{to: map[logfile.Stream]io.Writer{}, ended: make(chan struct{})}
	if stdout != nil {
		s.to[logfile.Stdout] = stdout
	}
	if stderr != nil {
		s.to[logfile.Stderr] = stderr
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sinks = append(h.sinks, s)
	return s
}

// detach takes a client off; a write to it may still be under way.
func (h *hub) detach(s *sink, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.sinks, s); i >= 0 {
		h.sinks = slices.Delete(h.sinks, i, i+1)
		s.err = err
		close(s.ended)
	}
}

// end tells all clients that the output is over.
func (h *hub) end() {
	h.mu.Lock()
	sinks := h.sinks
	h.sinks = nil
	h.mu.Unlock()
	for _, s := range sinks {
		close(s.ended)
	}
}

func (h *hub) write(stream logfile.Stream, p []byte) {
	h.order.Lock()
	defer h.order.Unlock()
	if err := h.log.Append(stream, p); err != nil && !h.failed {
		h.failed = true
		h.warn.Error("output is not being logged", "error", err)
	}
	h.mu.Lock()
	sinks := slices.Clone(h.sinks)
	h.mu.Unlock()
	for _, s := range sinks {
		if w := s.to[stream]; w != nil {
			if _, err := w.Write(p); err != nil {
				h.detach(s, err)
			}
		}
	}
}
