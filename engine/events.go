package engine

import (
	"context"
	"sync"
	"time"
)

// eventBuffer is how many events a subscriber may lag behind.
const eventBuffer = 256

// bus hands events to subscribers and never waits for one.
type bus struct {
	mu   sync.Mutex
	subs map[chan Event]struct{}
}

// Events sends what happens from now on until ctx ends. The channel is closed
// then, and also when the subscriber has fallen too far behind.
func (e *Engine) Events(ctx context.Context) <-chan Event {
	ch := make(chan Event, eventBuffer)
	e.bus.mu.Lock()
	defer e.bus.mu.Unlock()
	if e.bus.subs == nil {
		e.bus.subs = map[chan Event]struct{}{}
	}
	e.bus.subs[ch] = struct{}{}
	context.AfterFunc(ctx, func() { e.bus.drop(ch) })
	return ch
}

func (b *bus) drop(ch chan Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.subs[ch]; ok {
		delete(b.subs, ch)
		close(ch)
	}
}

func (b *bus) publish(ev Event) {
	ev.Time = time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for ch := range b.subs {
		select {
		case ch <- ev:
		default:
			delete(b.subs, ch)
			close(ch)
		}
	}
}
