package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/skerry-app/skerry/engine/agent"
	"github.com/skerry-app/skerry/engine/network"
	"github.com/skerry-app/skerry/guest/api"
)

// Bounds of the steps of a run.
const (
	bootTimeout     = 2 * time.Minute  // from the start of the machine to a started process, emulated on a busy host
	shutdownTimeout = 20 * time.Second // for the guest to flush its disks
	powerTimeout    = 10 * time.Second // for a machine to be gone after the plug was pulled
	killTimeout     = 3 * time.Second  // for a process to end after SIGKILL, before the plug is pulled
	goneTimeout     = time.Second      // for a machine to be gone after its agent was
	dialTimeout     = 10 * time.Second // for a published port to reach the container
)

// run is one run of a container: from its start to nothing of it being left.
type run struct {
	c     *Container
	log   *slog.Logger
	clock stopwatch

	// stop ends the start-up; its cause is what the start fails with.
	ctx  context.Context
	stop context.CancelCauseFunc

	filesOnly bool // for the container's files: no network of its own, and the process stays unstarted
	published []*network.Published
	relays    relays
	machine   *machine         // nil until there is one
	guest     *agent.Container // nil until the machine has booted
	process   *agent.Process
	outputs   outputs

	live chan struct{} // closed when process has started
	over chan struct{} // closed when nothing is left
}

func newRun(c *Container) *run {
	r := &run{c: c, log: c.engine.log.With("container", c.name()), clock: newStopwatch(),
		live: make(chan struct{}), over: make(chan struct{})}
	r.ctx, r.stop = context.WithCancelCause(context.Background())
	return r
}

// started tells whether the process has been started.
func (r *run) started() bool {
	select {
	case <-r.live:
		return true
	default:
		return false
	}
}

// place tells where on the network the run is.
func (r *run) place() (*Endpoint, []Port) {
	if !r.started() {
		return nil, nil
	}
	return r.endpointInfo(), r.bindings() // whose fields are set and stay
}

// supervise waits for the end of a started run, clears up and tells.
func (r *run) supervise() {
	go r.watch()
	go r.watchHealth()
	exit := r.await()
	r.clock.lap("run")
	r.log.Debug("process ended", "code", exit.Code, "error", exit.Error)
	r.outputs.drain(r.ctx)
	// What the container leaves behind is worth the wait.
	leaves := len(r.c.mounts()) > 0 || !r.c.autoRemove()
	r.release(exit.Error == "" && leaves)
	r.clock.lap("cleanup")
	r.c.finish(r, exit)
}

// watch publishes what the guest tells of, until the run is over.
func (r *run) watch() {
	err := r.guest.Events(r.ctx, func(e *api.Event) {
		if e.GetOomKills() > 0 {
			r.c.event("oom", nil)
		}
	})
	if r.ctx.Err() == nil {
		r.log.Debug("the guest tells of no more events", "error", err)
	}
}

// await returns how the process ended, or that its machine did.
func (r *run) await() Exit {
	type result struct {
		exit agent.Exit
		err  error
	}
	ended := make(chan result, 1)
	go func() {
		e, err := r.process.Wait(r.ctx)
		ended <- result{e, err}
	}()
	var res result
	select {
	case res = <-ended:
	case <-r.machine.vm.Done():
		res = <-ended // the answer may have come just before the machine went
	}
	if res.err == nil {
		return Exit{Code: res.exit.Code, OOMKilled: res.exit.OOMKilled, At: time.Now()}
	}
	// The connection goes a moment before the machine that it led to.
	select {
	case <-r.machine.vm.Done():
	case <-r.ctx.Done():
	case <-time.After(goneTimeout):
	}
	return r.lost(res.err)
}

// lost is the end of a process that the guest no longer tells of.
func (r *run) lost(err error) Exit {
	exit := Exit{Code: exitSkerry, At: time.Now()}
	if ended, why := r.machine.ended(); ended {
		err = why
	}
	if cause := context.Cause(r.ctx); cause != nil { // killed by us because it did not answer
		exit.Code, err = 128+sigKILL, cause
	}
	exit.Error = err.Error()
	return exit
}

// exitSkerry is the exit status that stands for Skerry's own failure.
const exitSkerry = 125

// release gives back all that the run has, in any state of its start. When
// flush is set the guest writes its disks out before the plug is pulled.
func (r *run) release(flush bool) {
	for _, p := range r.published {
		p.Close()
	}
	r.relays.close()
	if r.machine != nil {
		r.machine.removeContainer(r)
		r.machine.leave(flush || r.machine.shared())
	}
	r.stop(errors.New("the run is over"))
}

// stopwatch measures the phases of a run.
type stopwatch struct {
	mu     sync.Mutex
	last   time.Time
	phases []Phase
}

func newStopwatch() stopwatch { return stopwatch{last: time.Now()} }

// lap ends a phase.
func (w *stopwatch) lap(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.phases = append(w.phases, Phase{name, now.Sub(w.last)})
	w.last = now
}

// split moves d of the last phase to one of its own after it.
func (w *stopwatch) split(name string, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := &w.phases[len(w.phases)-1]
	d = min(d, last.Duration)
	last.Duration -= d
	w.phases = append(w.phases, Phase{name, d})
}

// formatPhases writes phases as "name=seconds name=seconds ...".
func formatPhases(phases []Phase) string {
	var words []string
	for _, p := range phases {
		words = append(words, fmt.Sprintf("%s=%.4f", p.Name, p.Duration.Seconds()))
	}
	return strings.Join(words, " ")
}

func (w *stopwatch) laps() []Phase {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Phase(nil), w.phases...)
}
