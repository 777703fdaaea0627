package api

import (
	"encoding/json"
	"net/http"
)

func writeJSON(w http.ResponseWriter, code int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	return json.NewEncoder(w).Encode(v)
}

// stream is an answer that goes out piece by piece. A client that does not
// read blocks the writer.
type stream struct {
	w       http.ResponseWriter
	started bool // the headers have gone out
}

// newStream prepares a stream; nothing is sent before the first Write.
func newStream(w http.ResponseWriter, contentType string) *stream {
	w.Header().Set("Content-Type", contentType)
	return &stream{w: w}
}

// start sends the headers.
func (s *stream) start() error {
	if !s.started {
		s.started = true
		s.w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(s.w).Flush()
}

func (s *stream) Write(p []byte) (int, error) {
	s.started = true
	n, err := s.w.Write(p)
	if err != nil {
		return n, err
	}
	return n, http.NewResponseController(s.w).Flush()
}

// writeLine sends v as one line of JSON.
func writeLine(s *stream, v any) error { return json.NewEncoder(s).Encode(v) }
