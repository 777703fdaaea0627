package api

import (
	"context"
	"sync"

	"github.com/skerry-app/skerry/engine"
)

// eventsKept is how many events can be asked for afterwards, and how many a
// client may lag behind.
const eventsKept = 1024

// eventLog keeps the last events for all clients together, so that a client
// that does not read costs nothing.
type eventLog struct {
	mu    sync.Mutex
	kept  []engine.Event // a ring: event number n is at n % eventsKept
	next  uint64         // number of the next event
	grown chan struct{}  // closed and replaced with every event
}

func newEventLog() *eventLog {
	return &eventLog{kept: make([]engine.Event, eventsKept), grown: make(chan struct{})}
}

// record keeps what the engine tells, from its return on until ctx ends.
func (l *eventLog) record(ctx context.Context, e *engine.Engine) {
	ch := e.Events(ctx)
	go func() {
		for ctx.Err() == nil {
			for ev := range ch {
				if ev.Type != engine.EventPull {
					l.add(ev)
				}
			}
			ch = e.Events(ctx) // we were too slow and have been cut off
		}
	}()
}

func (l *eventLog) add(ev engine.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept[l.next%eventsKept] = ev
	l.next++
	close(l.grown)
	l.grown = make(chan struct{})
}

// end is the number of the next event.
func (l *eventLog) end() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// oldest is the number of the oldest event that is kept.
func (l *eventLog) oldest() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first()
}

func (l *eventLog) first() uint64 {
	if l.next < eventsKept {
		return 0
	}
	return l.next - eventsKept
}

// get returns an event, or, when there is none with that number yet, a channel
// that is closed with the next. lost: it is no longer kept.
func (l *eventLog) get(n uint64) (ev engine.Event, wait <-chan struct{}, lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case n < l.first():
		return ev, nil, true
	case n < l.next:
		return l.kept[n%eventsKept], nil, false
	default:
		return ev, l.grown, false
	}
}
