package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
)

// Stop sends the stop signal (empty: the container's own), waits for timeout
// (nil: the container's own; negative: for ever) and then kills. The container
// stays down until it is started again. One that does not run, and is not about
// to, gives errdefs.ErrNotModified.
func (c *Container) Stop(ctx context.Context, signal string, timeout *time.Duration) error {
	sig := c.rec.Process.StopSignal
	if signal != "" {
		var err error
		if sig, err = parseSignal(signal); err != nil {
			return err
		}
	}
	waited := c.takeOver()
	unlock, err := c.lockOp(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err = c.stop(ctx, sig, timeout); waited && errdefs.IsNotModified(err) {
		return nil
	}
	return err
}

// stop is Stop with the operation lock held.
func (c *Container) stop(ctx context.Context, sig int, timeout *time.Duration) error {
	r := c.liveRun()
	if r == nil {
		return errdefs.ErrNotModified.WithMessage(fmt.Sprintf("container %s is not running", c.name()))
	}
	if timeout == nil {
		timeout = c.rec.Spec.StopTimeout
	}
	grace := DefaultStop
	if timeout != nil {
		grace = *timeout
	}
	if err := c.unpause(ctx, r); err != nil {
		return err
	}
	if grace != 0 {
		sctx, cancel := context.WithTimeout(ctx, killTimeout) // a guest that is stuck takes no signal
		err := r.signal(sctx, sig)
		cancel()
		if err != nil {
			r.log.Warn("send stop signal", "error", err)
		} else if over := r.waitOver(ctx, grace); over || ctx.Err() != nil {
			c.stopped(sig)
			return ctx.Err()
		}
	}
	err := c.kill(ctx)
	c.stopped(sigKILL)
	return err
}

func (c *Container) stopped(sig int) {
	c.event("stop", map[string]string{"signal": fmt.Sprint(sig)})
}

// kill ends the container's process, or its machine if the guest does not do
// it, and returns when nothing is left of the run.
func (c *Container) kill(ctx context.Context) error {
	r := c.liveRun()
	if r == nil {
		return nil
	}
	sctx, cancel := context.WithTimeout(ctx, killTimeout)
	err := c.unpause(sctx, r)
	if err == nil {
		err = r.signal(sctx, sigKILL)
	}
	cancel()
	if err == nil && r.waitOver(ctx, killTimeout+shutdownTimeout) {
		return nil
	}
	r.stop(errors.New("killed together with its machine, which did not answer"))
	if !r.waitOver(ctx, killTimeout+powerTimeout+shutdownTimeout) {
		return fmt.Errorf("container %s cannot be killed: its machine is still there", c.name())
	}
	return nil
}

// waitOver waits for the run to be over, at most for d (negative: for ever).
func (r *run) waitOver(ctx context.Context, d time.Duration) bool {
	if d >= 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	select {
	case <-r.over:
		return true
	case <-ctx.Done():
		return false
	}
}

func (r *run) signal(ctx context.Context, sig int) error { return r.process.Signal(ctx, sig, false) }

// liveRun returns the run whose process has started, or nil.
func (c *Container) liveRun() *run {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run == nil || !c.rec.State.Status.Alive() {
		return nil
	}
	return c.run
}

// needRun is liveRun for what needs one; none gives errdefs.ErrConflict.
func (c *Container) needRun() (*run, error) {
	r := c.liveRun()
	if r == nil {
		return nil, errdefs.ErrConflict.WithMessage(fmt.Sprintf("container %s is not running", c.name()))
	}
	return r, nil
}

// abort ends a start that is under way.
func (c *Container) abort(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run != nil && !c.rec.State.Status.Alive() {
		c.run.stop(cause)
	}
}

// Restart stops the container if it runs and starts it.
func (c *Container) Restart(ctx context.Context, signal string, timeout *time.Duration) error {
	sig := c.rec.Process.StopSignal
	if signal != "" {
		var err error
		if sig, err = parseSignal(signal); err != nil {
			return err
		}
	}
	unlock, err := c.lockOp(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	c.takeOver()
	if err := c.stop(ctx, sig, timeout); err != nil && !errdefs.IsNotModified(err) {
		return err
	}
	return c.start(ctx)
}

// Kill sends a signal, "TERM", "SIGTERM" or "15"; empty stands for KILL. A
// container that does not run gives errdefs.ErrConflict.
func (c *Container) Kill(ctx context.Context, signal string) error {
	sig := sigKILL
	if signal != "" {
		var err error
		if sig, err = parseSignal(signal); err != nil {
			return err
		}
	}
	r, err := c.needRun()
	if err != nil {
		return err
	}
	if sig == sigKILL || sig == c.rec.Process.StopSignal {
		c.takeOver()
	}
	c.event("kill", map[string]string{"signal": fmt.Sprint(sig)})
	if sig == sigKILL {
		return c.kill(ctx)
	}
	return r.signal(ctx, sig)
}

// Pause stops the container without its noticing.
func (c *Container) Pause(ctx context.Context) error {
	unlock, err := c.lockOp(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	r := c.liveRun()
	if r == nil || c.Snapshot().State.Status == StatusPaused {
		return errdefs.ErrConflict.WithMessage(fmt.Sprintf("container %s is not running", c.name()))
	}
	if err := r.pause(ctx, true); err != nil {
		return fmt.Errorf("pause container %s: %w", c.name(), err)
	}
	c.setAlive(StatusPaused)
	c.event("pause", nil)
	return nil
}

// Unpause lets a paused container run on.
func (c *Container) Unpause(ctx context.Context) error {
	unlock, err := c.lockOp(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	r := c.liveRun()
	if r == nil || c.Snapshot().State.Status != StatusPaused {
		return errdefs.ErrConflict.WithMessage(fmt.Sprintf("container %s is not paused", c.name()))
	}
	return c.unpause(ctx, r)
}

// unpause lets a container go on if it is paused and sets its machine's clock,
// which may have stood still.
func (c *Container) unpause(ctx context.Context, r *run) error {
	if c.Snapshot().State.Status != StatusPaused {
		return nil
	}
	if err := r.pause(ctx, false); err != nil {
		return fmt.Errorf("unpause container %s: %w", c.name(), err)
	}
	c.setAlive(StatusRunning)
	c.event("unpause", nil)
	if err := r.machine.client.SetTime(ctx, time.Now(), 0); err != nil {
		r.log.Warn("set the guest's clock", "error", err)
	}
	return nil
}

// pause stops the container, or lets it go on: the whole machine, if that is its
// own, else its processes.
func (r *run) pause(ctx context.Context, paused bool) error {
	switch {
	case r.machine.shared():
		return r.guest.Pause(ctx, paused)
	case paused:
		return r.machine.vm.Pause(ctx)
	default:
		return r.machine.vm.Resume(ctx)
	}
}

// setAlive changes between running and paused, unless the run has ended.
func (c *Container) setAlive(s Status) {
	c.update(func(rec *record) {
		if rec.State.Status.Alive() {
			rec.State.Status = s
		}
	})
}
