package agent

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/guest/api"
)

// Bounds of what the guest may do with streams.
const (
	streamHeader  = 10 * time.Second // to say which one it is
	streamTimeout = 10 * time.Second // to arrive, once the guest has said that it dialled
	streamPending = 256              // connections that have not said which they are
)

var errNoStream = errors.New("it did not arrive in " + streamTimeout.String())

// streams takes the connections that the guest makes. Each has been
// announced by a number that cannot be guessed and, but for relays, is used
// once; others are closed.
type streams struct {
	l       net.Listener
	pending chan struct{}

	mu       sync.Mutex
	expected map[uint64]*expectation
	relays   map[uint64]*Relay
}

// expectation is a stream that is to come.
type expectation struct {
	id   uint64
	s    *streams
	conn chan vm.Conn // capacity 1
}

func acceptStreams(l net.Listener) *streams {
	s := &streams{l: l, pending: make(chan struct{}, streamPending), expected: map[uint64]*expectation{}, relays: map[uint64]*Relay{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.pending <- struct{}{}
			go func() {
				defer func() { <-s.pending }()
				s.take(c.(vm.Conn))
			}()
		}
	}()
	return s
}

// take hands a connection to whoever expects it.
func (s *streams) take(c vm.Conn) {
	c.SetReadDeadline(time.Now().Add(streamHeader))
	id, err := api.ReadStreamID(c)
	if err == nil {
		err = c.SetReadDeadline(time.Time{})
	}
	s.mu.Lock()
	e, r := s.expected[id], s.relays[id]
	delete(s.expected, id)
	s.mu.Unlock()
	switch {
	case err == nil && e != nil:
		e.conn <- c
	case err == nil && r != nil:
		r.take(c)
	default:
		c.Close()
	}
}

// expect announces a stream.
func (s *streams) expect() *expectation {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := &expectation{s: s, conn: make(chan vm.Conn, 1)}
	e.id = s.newID()
	s.expected[e.id] = e
	return e
}

// newID makes up a number; the lock is held.
func (s *streams) newID() uint64 {
	for {
		if id := rand.Uint64(); id != 0 && s.expected[id] == nil && s.relays[id] == nil {
			return id
		}
	}
}

// wait returns the stream when it has come.
func (e *expectation) wait(ctx context.Context) (vm.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, streamTimeout, errNoStream)
	defer cancel()
	select {
	case c := <-e.conn:
		return c, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// cancel no longer expects the stream; one that has come and was not waited
// for is closed.
func (e *expectation) cancel() {
	e.s.mu.Lock()
	delete(e.s.expected, e.id)
	e.s.mu.Unlock()
	select {
	case c := <-e.conn:
		c.Close()
	default:
	}
}

func (s *streams) close() error { return s.l.Close() }
