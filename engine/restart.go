package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
)

// RestartPolicy says whether a container is started again when it has ended by
// itself, in Docker's words. The zero value is RestartNo.
type RestartPolicy struct {
	Name              string
	MaximumRetryCount int // of RestartOnFailure; 0: no bound but that of a crash loop
}

// Names of restart policies. After the app has ended, whatever the policy, what
// was up is to come up again (State.Wanted), and what was stopped is not.
const (
	RestartNo            = "no"
	RestartAlways        = "always"
	RestartUnlessStopped = "unless-stopped"
	RestartOnFailure     = "on-failure" // with another status than 0
)

const (
	restartDelay    = time.Second // before the first restart; doubled for each further one in a row
	maxRestartDelay = time.Minute // at most
	stableRun       = time.Minute // after a run as long as this the count begins anew
	crashLoop       = 10          // restarts in a row after which it is given up
)

// check refuses what is no policy, or none for a container that is to be removed
// when it ends.
func (p RestartPolicy) check(autoRemove bool) error {
	switch {
	case p.MaximumRetryCount < 0:
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("restart policy: %d retries", p.MaximumRetryCount))
	case p.MaximumRetryCount != 0 && p.Name != RestartOnFailure:
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("restart policy %q: only %q has a number of retries", p.Name, RestartOnFailure))
	}
	switch p.Name {
	case "", RestartNo, RestartAlways, RestartUnlessStopped, RestartOnFailure:
	default:
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("restart policy %q: use %q, %q, %q or %q",
			p.Name, RestartNo, RestartAlways, RestartUnlessStopped, RestartOnFailure))
	}
	if autoRemove && !p.isNo() {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("restart policy %q: the container is to be removed when it ends", p.Name))
	}
	return nil
}

func (p RestartPolicy) isNo() bool { return p.Name == "" || p.Name == RestartNo }

// applies tells whether a process that ended so is started again.
func (p RestartPolicy) applies(exit Exit) bool {
	switch p.Name {
	case RestartAlways, RestartUnlessStopped:
		return true
	case RestartOnFailure:
		return exit.Code != 0
	}
	return false
}

// restarts is what a container's policy has done since somebody started the
// container.
type restarts struct {
	total  int // restarts
	inARow int // those without a stable run between them
	next   *pending
}

// pending is a restart that is waited for, or under way.
type pending struct {
	ctx    context.Context // ends when somebody takes over
	cancel context.CancelFunc
	delay  time.Duration
}

// follow decides what follows after a run that ended so: a restart after delay,
// or none. Giving up has a reason.
func (s *restarts) follow(p RestartPolicy, exit Exit, ran time.Duration) (delay time.Duration, again bool, gaveUp error) {
	if !p.applies(exit) {
		return 0, false, nil
	}
	if ran >= stableRun {
		s.inARow = 0
	}
	bound := p.MaximumRetryCount
	switch {
	case bound > 0 && s.total >= bound:
		return 0, false, fmt.Errorf("gave up after %d restarts, as its restart policy says", s.total)
	case bound == 0 && s.inARow >= crashLoop:
		return 0, false, fmt.Errorf("crash loop: it was started again %d times and never ran for %v; mend it and start it", s.inARow, stableRun)
	}
	delay = min(restartDelay<<min(s.inARow, 30), maxRestartDelay)
	s.total++
	s.inARow++
	return delay, true, nil
}

// decide says whether a restart follows the end of a run; gaveUp is why the
// policy wants no more.
func (c *Container) decide(r *run, exit Exit) (next *pending, gaveUp error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := &c.rec.State
	if c.engine.closing() || !state.Wanted { // what is up now comes up again later; what was stopped, or never began, does not
		return nil, nil
	}
	var ran time.Duration
	if r.started() {
		ran = exit.At.Sub(state.StartedAt)
	}
	delay, again, gaveUp := c.restarts.follow(c.rec.spec().Restart, exit, ran)
	if !again {
		state.Wanted = gaveUp == nil && !r.started() // it could not be started now; perhaps it can when the app starts again
		return nil, gaveUp
	}
	next = &pending{delay: delay}
	next.ctx, next.cancel = context.WithCancel(c.engine.life)
	c.restarts.next = next
	return next, nil
}

// restart starts the container again when its time has come, unless somebody
// takes over before.
func (c *Container) restart(next *pending) {
	defer next.cancel()
	timer := time.NewTimer(next.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-next.ctx.Done():
		return
	}
	if err := c.startAgain(next.ctx); err != nil && next.ctx.Err() == nil {
		c.engine.log.Warn("start container again", "container", c.name(), "error", err)
	}
}

// startAgain starts the container in place of whoever wanted it up.
func (c *Container) startAgain(ctx context.Context) error {
	unlock, err := c.lockOp(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := ctx.Err(); err != nil { // who had the lock has taken over
		return err
	}
	return c.start(ctx)
}

// Resume starts a container that was up when the app ended. It does nothing with
// one that somebody has stopped, that is up already, or that belonged to a client
// and has no restart policy. A failure is handled by the restart policy.
func (c *Container) Resume(ctx context.Context) error {
	s := c.Snapshot()
	if !s.State.Wanted || s.State.Status.InUse() || s.Spec.Foreground && s.Spec.Restart.isNo() {
		return nil
	}
	return c.startAgain(ctx)
}

// takeOver keeps the restart policy from starting the container until it has
// been started by hand. It tells whether a restart was waited for.
func (c *Container) takeOver() (waited bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := &c.rec.State
	if next := c.restarts.next; next != nil {
		next.cancel()
		c.endLog()
	}
	c.restarts = restarts{}
	waited = state.Status == StatusRestarting
	if c.removed || !waited && !state.Wanted {
		return waited
	}
	state.Wanted, state.RestartAt = false, time.Time{}
	if waited {
		state.Status = StatusExited
	}
	if err := c.save(); err != nil {
		c.engine.log.Error("save container", "container", c.rec.Name, "error", err)
	}
	c.wake()
	return waited
}
