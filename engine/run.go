package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/skerry-app/skerry/engine/agent"
	"github.com/skerry-app/skerry/engine/network"
	"github.com/skerry-app/skerry/engine/vm"
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

// run is one run of a container: from its machine being made to nothing of it
// being left.
type run struct {
	c     *Container
	log   *slog.Logger
	clock stopwatch

	// stop ends the start-up; its cause is what the start fails with.
	ctx  context.Context
	stop context.CancelCauseFunc

	endpoint  *network.Endpoint
	filesOnly bool // a machine for its files: no network, and the process stays unstarted
	sources   sources
	volumes   func()     // lets go of volumes; nil without
	host      netip.Addr // stands for the host on the container's network
	published []*network.Published
	machine   vm.Machine
	link      *agent.Link
	client    *agent.Client
	process   *agent.Process
	outputs   outputs

	ready chan struct{} // closed when client is set
	live  chan struct{} // closed when process has started
	over  chan struct{} // closed when nothing is left
}

func newRun(c *Container) *run {
	r := &run{c: c, log: c.engine.log.With("container", c.name()), clock: newStopwatch(),
		ready: make(chan struct{}), live: make(chan struct{}), over: make(chan struct{})}
	r.ctx, r.stop = context.WithCancelCause(context.Background())
	return r
}

// place tells where on the network the run is.
func (r *run) place() (*Endpoint, []Port) {
	select {
	case <-r.live: // the fields below are set and stay
	default:
		return nil, nil
	}
	return r.endpointInfo(), r.bindings()
}

// supervise waits for the end of a started run, clears up and tells.
func (r *run) supervise() {
	go r.watch()
	exit := r.await()
	r.clock.lap("run")
	r.log.Debug("process ended", "code", exit.Code, "error", exit.Error)
	r.outputs.drain(r.ctx)
	// What the container leaves behind is worth the wait.
	leaves := len(r.sources.mounts) > 0 || !r.c.autoRemove()
	r.release(exit.Error == "" && leaves)
	r.clock.lap("cleanup")
	r.c.finish(r, exit)
}

// watch publishes what the guest tells of, until the run is over.
func (r *run) watch() {
	err := r.client.Events(r.ctx, func(e *api.Event) {
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
	case <-r.machine.Done():
		res = <-ended // the answer may have come just before the machine went
	}
	if res.err == nil {
		return Exit{Code: res.exit.Code, OOMKilled: res.exit.OOMKilled, At: time.Now()}
	}
	// The connection goes a moment before the machine that it led to.
	select {
	case <-r.machine.Done():
	case <-r.ctx.Done():
	case <-time.After(goneTimeout):
	}
	return r.lost(res.err)
}

// lost is the end of a process that the guest no longer tells of.
func (r *run) lost(err error) Exit {
	exit := Exit{Code: exitSkerry, At: time.Now()}
	select {
	case <-r.machine.Done():
		if err = r.machine.Err(); err == nil {
			err = errors.New("it was powered off from inside")
		}
		err = fmt.Errorf("the container's machine ended: %w", err)
	default:
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
	if r.client != nil {
		if flush {
			ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
			if err := r.client.Shutdown(ctx); err != nil {
				r.log.Warn("the guest did not shut down; what it wrote last may be lost", "error", err)
			}
			cancel()
		}
		r.client.Close()
	}
	if r.machine != nil {
		ctx, cancel := context.WithTimeout(context.Background(), powerTimeout)
		if err := r.machine.Stop(ctx); err != nil {
			r.log.Error("the machine is still there", "error", err)
		}
		cancel()
	}
	r.removeSwap()
	if r.link != nil {
		r.link.Close()
	}
	if r.volumes != nil {
		r.volumes()
	}
	if r.endpoint != nil {
		r.endpoint.Close()
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
