package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/skerry-app/skerry/engine"
)

// Bounds of a connection and of the server's end.
const (
	headerTimeout = 10 * time.Second // for a request's headers to arrive
	idleTimeout   = 5 * time.Minute  // between two requests
	maxHeader     = 64 << 10         // bytes
	shutdownGrace = 5 * time.Second  // for requests under way when the server ends
)

// Options is what a Server needs beside an engine.
type Options struct {
	Version  string   // of Skerry
	Projects Projects // nil: the endpoints for projects answer 501
	Quit     func()   // ends the app; called once the answer is on its way
	Log      *slog.Logger
}

// Server serves the API for an engine.
type Server struct {
	engine  *engine.Engine
	options Options
	log     *slog.Logger
	handler http.Handler

	eventLog *eventLog

	mu       sync.Mutex
	sessions map[*session]struct{} // hijacked connections
	live     sync.WaitGroup        // counts them
	closed   bool                  // there will be no more
}

// New returns a server for e.
func New(e *engine.Engine, o Options) *Server {
	s := &Server{engine: e, options: o, log: o.Log, eventLog: newEventLog(), sessions: map[*session]struct{}{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.handler = s.wrap(s.routes())
	return s
}

// Serve answers on l until ctx ends, and closes l. Then streams are cut and
// other requests have a few seconds to end. Nil is returned for an end by ctx.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	recording, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	s.eventLog.record(recording, s.engine)
	return s.serve(ctx, l)
}

func (s *Server) serve(ctx context.Context, l net.Listener) error {
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	server := &http.Server{
		Handler:           s.handler,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return errors.Join(fmt.Errorf("serve the API: %w", err), server.Close())
	case <-ctx.Done():
	}
	cut()
	s.closeSessions()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	err := server.Shutdown(grace)
	if err == nil {
		err = s.waitSessions(grace)
	}
	if err != nil {
		s.log.Warn("requests were under way at the end", "error", err)
		return server.Close()
	}
	return nil
}

// wrap puts around the routes what every request needs.
func (s *Server) wrap(routes http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.setVersionHeaders(w.Header())
		defer s.recover(w, r)
		r, err := negotiate(r)
		if err != nil {
			writeError(w, err)
			return
		}
		routes.ServeHTTP(w, r)
	})
}

// recover keeps a mistake in one handler from ending the app.
func (s *Server) recover(w http.ResponseWriter, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(cause) // net/http's way of cutting a connection
	}
	s.log.Error("panic in a request", "method", r.Method, "path", r.URL.Path, "cause", cause, "stack", string(debug.Stack()))
	writeError(w, errors.New("internal error: the app's log has the details"))
}

// handlerFunc is a handler that leaves it to its caller to answer with an
// error. One that has begun its answer returns nil.
type handlerFunc func(http.ResponseWriter, *http.Request) error

func (s *Server) handle(f handlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := f(w, r)
		if err == nil {
			return
		}
		if status(err) == http.StatusInternalServerError && r.Context().Err() == nil {
			s.log.Error("request", "method", r.Method, "path", r.URL.Path, "error", err)
		}
		writeError(w, err)
	})
}
