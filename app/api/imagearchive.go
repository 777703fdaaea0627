package api

import (
	"net/http"

	"github.com/moby/moby/api/types"
	"github.com/moby/moby/api/types/jsonstream"

	"github.com/skerry-app/skerry/registry"
)

// tarType is the media type of an archive, of images or of files.
const tarType = "application/x-tar"

// saveImages answers with an archive of the images that the query names.
func (s *Server) saveImages(w http.ResponseWriter, r *http.Request) error {
	names := r.URL.Query()["names"]
	if len(names) == 0 {
		return invalid("no image is named")
	}
	return s.save(w, r, names...)
}

func (s *Server) saveImage(w http.ResponseWriter, r *http.Request, name string) error {
	return s.save(w, r, name)
}

func (s *Server) save(w http.ResponseWriter, r *http.Request, names ...string) error {
	out := newStream(w, tarType)
	err := s.engine.Images().Save(r.Context(), out, names...)
	if err != nil && out.started {
		// The status has gone out: only a cut connection tells of the error.
		s.log.Error("save images", "images", names, "error", err)
		panic(http.ErrAbortHandler)
	}
	return err
}

// loadImages brings in the images of an archive.
func (s *Server) loadImages(w http.ResponseWriter, r *http.Request) error {
	loaded, err := s.engine.Load(r.Context(), r.Body, registry.LoadOptions{Platform: r.URL.Query().Get("platform")})
	if err != nil {
		return err
	}
	out := progressStream{out: newStream(w, types.MediaTypeJSON)}
	for _, l := range loaded {
		text := "Loaded image: " + l.Name
		if l.Name == "" {
			text = "Loaded image ID: " + l.ID.String()
		}
		out.send(jsonstream.Message{Stream: text + "\n"})
	}
	return nil
}
