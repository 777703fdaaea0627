package api

import "net/http"

// changeFileSystem answers POST /skerry/containers/{id}/files/{action}?path=...:
// freeze, thaw or trim the file system there.
func (s *Server) changeFileSystem(w http.ResponseWriter, r *http.Request) error {
	c, err := s.container(r)
	if err != nil {
		return err
	}
	path := r.URL.Query().Get("path")
	if path == "" {
		path = "/"
	}
	var trimmed uint64
	switch action := r.PathValue("action"); action {
	case "freeze":
		err = c.FreezeFiles(r.Context(), path)
	case "thaw":
		err = c.ThawFiles(r.Context(), path)
	case "trim":
		trimmed, err = c.TrimFiles(r.Context(), path)
	default:
		return invalid("%q is nothing to do with a file system: freeze, thaw or trim it", action)
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]uint64{"Bytes": trimmed})
}
