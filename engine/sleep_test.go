package engine

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/skerry-app/skerry/engine/vm"
)

// sleeper is a machine of which only the pausing is asked.
type sleeper struct {
	vm.Machine
	pauseErr error
	stuck    bool // it does not answer, and pauses all the same
	paused   bool
	resumed  int
}

func (s *sleeper) Done() <-chan struct{} { return nil }

func (s *sleeper) Pause(ctx context.Context) error {
	s.paused = s.pauseErr == nil
	if s.stuck {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.pauseErr
}

func (s *sleeper) Resume(context.Context) error {
	s.resumed++
	if !s.paused {
		return errors.New("it is not paused")
	}
	s.paused = false
	return nil
}

// TestSleep wants every machine that sleeps woken, once, and no other.
func TestSleep(t *testing.T) {
	good, failing, stuck := &sleeper{}, &sleeper{pauseErr: errors.New("no")}, &sleeper{stuck: true}
	var machines []*machine
	for _, s := range []*sleeper{good, failing, stuck} {
		machines = append(machines, &machine{vm: s, log: slog.New(slog.DiscardHandler)})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var s sleepers
	s.pause(ctx, machines)
	if !good.paused || !stuck.paused {
		t.Errorf("paused: %v, %v", good.paused, stuck.paused)
	}
	s.resume(t.Context())
	s.resume(t.Context())
	if good.resumed != 1 || stuck.resumed != 1 || failing.resumed != 0 {
		t.Errorf("woken: %d, %d and %d times; want 1, 1 and 0", good.resumed, stuck.resumed, failing.resumed)
	}
}
