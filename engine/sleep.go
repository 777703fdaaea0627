package engine

import (
	"context"
	"log/slog"
	"sync"
)

// sleepers are the machines that were paused because the host sleeps.
type sleepers struct {
	mu       sync.Mutex
	machines []*machine
}

// Suspend pauses all machines that run, because the host is about to sleep, and
// returns when they are paused or ctx ends: a guest whose processors stop in
// the middle of what they do, for an hour, may not get over it. Containers count
// as running all the while. Wake lets them go on.
func (e *Engine) Suspend(ctx context.Context) {
	var machines []*machine
	for _, r := range e.runningMachines() {
		machines = append(machines, r.machine)
	}
	e.sleepers.pause(ctx, machines)
}

// Wake lets machines go on that Suspend has paused and sets all clocks, which
// have stood still. It returns when the machines run or ctx ends; a guest that
// has not got over the sleep shows by not setting its clock.
func (e *Engine) Wake(ctx context.Context) {
	e.sleepers.resume(ctx)
	e.setClocks(slog.LevelWarn)
}

func (s *sleepers) pause(ctx context.Context, machines []*machine) {
	var wg sync.WaitGroup
	for _, m := range machines {
		wg.Go(func() {
			if err := m.vm.Pause(ctx); err != nil {
				m.log.Warn("pause the machine before the host sleeps", "error", err)
				if ctx.Err() == nil {
					return // it runs; else it may pause yet
				}
			}
			s.mu.Lock()
			s.machines = append(s.machines, m)
			s.mu.Unlock()
		})
	}
	wg.Wait()
}

func (s *sleepers) resume(ctx context.Context) {
	s.mu.Lock()
	machines := s.machines
	s.machines = nil
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, m := range machines {
		wg.Go(func() {
			if err := m.vm.Resume(ctx); err != nil && !m.over() {
				m.log.Error("the machine does not go on after the host's sleep: restart its container", "error", err)
			}
		})
	}
	wg.Wait()
}
