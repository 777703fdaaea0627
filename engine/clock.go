package engine

import (
	"context"
	"log/slog"
	"time"
)

const (
	// clockInterval is the time between two looks at the machines' clocks,
	// which drift, and stand still while the host sleeps.
	clockInterval = 30 * time.Second
	// clockTolerance is how wrong a clock may be without being set: to step it
	// again and again by less would do more harm.
	clockTolerance = 500 * time.Millisecond
	// clockTimeout bounds the wait for a guest to set its clock.
	clockTimeout = 10 * time.Second
)

// keepTime looks after the machines' clocks until the engine is closed.
func (e *Engine) keepTime() {
	tick := time.NewTicker(clockInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.setClocks(slog.LevelDebug)
		case <-e.life.Done():
			return
		}
	}
}

// setClocks sets the clocks of all running machines that are wrong, without
// waiting for it. Level is how much it is worth knowing that a guest does not.
func (e *Engine) setClocks(level slog.Level) {
	for _, r := range e.runningMachines() {
		go func() {
			ctx, cancel := context.WithTimeout(r.ctx, clockTimeout)
			defer cancel()
			if err := r.machine.client.SetTime(ctx, time.Now(), clockTolerance); err != nil && r.ctx.Err() == nil {
				r.log.Log(ctx, level, "the guest does not set its clock", "error", err)
			}
		}()
	}
}

// runningMachines returns one run in each machine that has containers which run.
func (e *Engine) runningMachines() (runs []*run) {
	seen := map[*machine]bool{} // containers of a pod share one
	for _, c := range e.Containers() {
		r := c.liveRun()
		if r == nil || c.Snapshot().State.Status != StatusRunning || seen[r.machine] {
			continue
		}
		seen[r.machine] = true
		runs = append(runs, r)
	}
	return runs
}
