package api

import (
	"net/http"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types"
	"github.com/moby/moby/api/types/container"

	"github.com/skerry-app/skerry/engine"
)

// statsInterval is the time between two statistics of a stream, and between
// the two in an answer that is to tell how much is being used; docker's.
const statsInterval = time.Second

// containerStats answers with what a container uses: once a second, or once.
// Each answer has the one before it, from which a client computes how busy the
// processors are; an answer to "one-shot" has none. A container that does not
// run uses nothing.
func (s *Server) containerStats(w http.ResponseWriter, r *http.Request) error {
	c, err := s.container(r)
	if err != nil {
		return err
	}
	snapshot := c.Snapshot()
	follow := !r.URL.Query().Has("stream") || boolean(r, "stream") // docker's default
	now, err := c.Stats(r.Context())
	if errdefs.IsConflict(err) && !follow {
		return writeJSON(w, http.StatusOK, container.StatsResponse{ID: snapshot.ID, Name: "/" + snapshot.Name, OSType: "linux"})
	}
	if err != nil {
		return err
	}
	before := engine.Stats{}
	if !follow && !boolean(r, "one-shot") {
		if err := sleep(r, statsInterval); err != nil {
			return err
		}
		before = now
		if now, err = c.Stats(r.Context()); err != nil {
			return err
		}
	}
	if !follow {
		return writeJSON(w, http.StatusOK, toStats(snapshot, before, now))
	}
	out := newStream(w, types.MediaTypeJSON)
	for {
		if err := writeLine(out, toStats(snapshot, before, now)); err != nil {
			return nil // the client has gone
		}
		if sleep(r, statsInterval) != nil {
			return nil
		}
		before = now
		if now, err = c.Stats(r.Context()); err != nil {
			return nil // the container has ended
		}
	}
}

func sleep(r *http.Request, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-r.Context().Done():
		return r.Context().Err()
	}
}
