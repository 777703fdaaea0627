package registrytest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
)

// Fault is something that goes wrong with some requests.
type Fault struct {
	// Request is part of "METHOD /path" of the requests in question, such as
	// "/blobs/sha256:".
	Request string
	// Times is how many requests go wrong; 0 is all.
	Times int
	// Do answers the request; real is the registry.
	Do func(w http.ResponseWriter, r *http.Request, real http.Handler)

	spent int
}

// Inject makes a fault happen from now on. The first fault that fits a request
// happens to it.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Repair ends all faults; requests that stall are cut by Close only when the
// client does not end them.
func (s *Server) Repair() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// fault returns the fault for a request. The caller holds mu.
func (s *Server) fault(r *http.Request) *Fault {
	for _, f := range s.faults {
		if !strings.Contains(r.Method+" "+r.URL.Path, f.Request) || f.Times > 0 && f.spent == f.Times {
			continue
		}
		f.spent++
		return f
	}
	return nil
}

// Status answers with a status and, for 4xx and 5xx, the text of no error that a
// registry would send.
func Status(code int) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { http.Error(w, "fault injected", code) }
}

// Change answers with the registry's own body after a change to it.
func Change(change func([]byte) []byte) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		recorded := record(r, real)
		body := change(recorded.Body.Bytes())
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(recorded.Code)
		w.Write(body)
	}
}

// Corrupt flips a bit in the middle of the registry's answer.
func Corrupt() func(http.ResponseWriter, *http.Request, http.Handler) {
	return Change(func(b []byte) []byte {
		b = append([]byte(nil), b...)
		if len(b) > 0 {
			b[len(b)/2] ^= 1
		}
		return b
	})
}

// Truncate sends n bytes of the registry's answer and cuts the connection.
func Truncate(n int) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		head(w, record(r, real), n)
		panic(http.ErrAbortHandler)
	}
}

// Stall sends n bytes of the registry's answer and then nothing until the client
// gives up.
func Stall(n int) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		head(w, record(r, real), n)
		<-r.Context().Done()
	}
}

// head announces the whole answer and sends its first n bytes.
func head(w http.ResponseWriter, recorded *httptest.ResponseRecorder, n int) {
	body := recorded.Body.Bytes()
	w.Header().Set("Content-Type", recorded.Header().Get("Content-Type"))
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(recorded.Code)
	w.Write(body[:min(n, len(body))])
	http.NewResponseController(w).Flush()
}

func record(r *http.Request, real http.Handler) *httptest.ResponseRecorder {
	recorded := httptest.NewRecorder()
	real.ServeHTTP(recorded, r)
	return recorded
}
