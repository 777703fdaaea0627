package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"github.com/skerry-app/skerry/engine/agent"
	"github.com/skerry-app/skerry/guest/api"
)

// HealthCheck is how to find out whether a container works, in Docker's words.
// Test is CMD and a program with its arguments, CMD-SHELL and a line for its
// shell, or NONE; and beside Docker's HTTP with a port and a path, and TCP with a
// port, which need nothing in the image. Zero times are Docker's: 30 s, and 5 s
// for StartInterval.
type HealthCheck = dockerspec.HealthcheckConfig

// The kinds of tests.
const (
	testCommand = "CMD"
	testShell   = "CMD-SHELL"
	testNone    = "NONE"
	testHTTP    = "HTTP"
	testTCP     = "TCP"
)

// HealthStatus is what is known of a container's health.
type HealthStatus string

const (
	HealthStarting  HealthStatus = "starting"
	HealthHealthy   HealthStatus = "healthy"
	HealthUnhealthy HealthStatus = "unhealthy"
)

// Health is what a container's checks have shown.
type Health struct {
	Status        HealthStatus
	FailingStreak int
	Log           []HealthResult // the last few, oldest first
}

// HealthResult is how one check went.
type HealthResult struct {
	Start, End time.Time
	ExitCode   int // 0: healthy
	Output     string
}

const (
	healthKept   = 5       // results, as many as docker keeps
	healthOutput = 4 << 10 // bytes of each

	healthInterval      = 30 * time.Second
	healthTimeout       = 30 * time.Second
	healthStartInterval = 5 * time.Second
	healthRetries       = 3
)

// completeHealth fills in Docker's defaults. A check that is none is nil.
func completeHealth(h *HealthCheck) *HealthCheck {
	if h == nil || len(h.Test) == 0 || h.Test[0] == testNone {
		return nil
	}
	c := *h
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{{&c.Interval, healthInterval}, {&c.Timeout, healthTimeout}, {&c.StartInterval, healthStartInterval}} {
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
	if c.Retries == 0 {
		c.Retries = healthRetries
	}
	return &c
}

// startHealth is what is known of a container that has just been started.
func startHealth(check *HealthCheck) *Health {
	if check == nil {
		return nil
	}
	return &Health{Status: HealthStarting}
}

// checkHealth refuses a check that cannot be made.
func checkHealth(h *HealthCheck) error {
	bad := func(format string, a ...any) error {
		return errdefs.ErrInvalidArgument.WithMessage("health check: " + fmt.Sprintf(format, a...))
	}
	if h == nil || len(h.Test) == 0 {
		return nil
	}
	arguments := h.Test[1:]
	port := func() error {
		if n, err := strconv.ParseUint(arguments[0], 10, 16); err != nil || n == 0 {
			return bad("%q is no port", arguments[0])
		}
		return nil
	}
	for _, d := range []time.Duration{h.Interval, h.Timeout, h.StartPeriod, h.StartInterval} {
		if d != 0 && d < time.Millisecond {
			return bad("a time of %v is less than 1ms", d)
		}
	}
	switch kind := h.Test[0]; {
	case h.Retries < 0:
		return bad("%d retries", h.Retries)
	case kind == testNone:
		return nil
	case kind == testCommand && len(arguments) > 0, kind == testShell && len(arguments) == 1:
		return nil
	case kind == testTCP && len(arguments) == 1:
		return port()
	case kind == testHTTP && len(arguments) == 2:
		if !strings.HasPrefix(arguments[1], "/") || strings.ContainsFunc(arguments[1], func(c rune) bool { return c <= ' ' }) {
			return bad("the path %q does not begin with a slash, or has spaces", arguments[1])
		}
		return port()
	}
	return bad("%q is no test: use CMD, CMD-SHELL, HTTP with a port and a path, TCP with a port, or NONE", h.Test)
}

// add takes a result and tells whether the status has changed. Failures in the
// start period of a container that has not been healthy yet do not count.
func (h *Health) add(r HealthResult, check *HealthCheck, age time.Duration) (changed bool) {
	before := h.Status
	h.Log = append(h.Log, r)
	h.Log = slices.Clone(h.Log[max(0, len(h.Log)-healthKept):])
	switch {
	case r.ExitCode == 0:
		h.Status, h.FailingStreak = HealthHealthy, 0
	case h.Status == HealthStarting && age < check.StartPeriod:
	default:
		if h.FailingStreak++; h.FailingStreak >= check.Retries {
			h.Status = HealthUnhealthy
		}
	}
	return h.Status != before
}

// wait is how long to wait for the next check.
func (h *Health) wait(check *HealthCheck, age time.Duration) time.Duration {
	if h.Status == HealthStarting && age < check.StartPeriod {
		return min(check.StartInterval, check.Interval)
	}
	return check.Interval
}

// watchHealth checks the container's health until the run is over.
func (r *run) watchHealth() {
	check, started := r.c.rec.Spec.Health, time.Now()
	if check == nil {
		return
	}
	health := *startHealth(check)
	timer := time.NewTimer(health.wait(check, 0))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-r.ctx.Done():
			return
		}
		if r.c.Snapshot().State.Status == StatusRunning { // a paused one answers nothing, and that is no fault
			result := r.probe(check)
			if r.ctx.Err() != nil {
				return
			}
			changed := health.add(result, check, time.Since(started))
			h := health
			note := func(rec *record) {
				if rec.State.Status.Alive() {
					rec.State.Health = &h
				}
			}
			if changed {
				r.c.update(note)
				r.c.event("health_status: "+string(health.Status), nil)
			} else {
				r.c.set(note)
			}
		}
		timer.Reset(health.wait(check, time.Since(started)))
	}
}

// probe makes one check.
func (r *run) probe(check *HealthCheck) HealthResult {
	ctx, cancel := context.WithTimeoutCause(r.ctx, check.Timeout, fmt.Errorf("health check took longer than %v", check.Timeout))
	defer cancel()
	result := HealthResult{Start: time.Now()}
	var err error
	switch kind, arguments := check.Test[0], check.Test[1:]; kind {
	case testHTTP, testTCP:
		port, _ := strconv.ParseUint(arguments[0], 10, 16) // checked by checkHealth
		path := ""
		if kind == testHTTP {
			path = arguments[1]
		}
		var healthy bool
		if healthy, result.Output, err = r.guest.Probe(ctx, uint16(port), path); err == nil && !healthy {
			result.ExitCode = 1
		}
	case testShell:
		arguments = []string{"/bin/sh", "-c", arguments[0]}
		fallthrough
	default:
		result.ExitCode, result.Output, err = r.probeByCommand(ctx, arguments)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		result.ExitCode, result.Output = -1, err.Error()
	}
	result.End = time.Now()
	result.Output = strings.ToValidUTF8(result.Output[:min(len(result.Output), healthOutput)], "")
	return result
}

// probeByCommand runs a program in the container and returns the beginning of
// what it says.
func (r *run) probeByCommand(ctx context.Context, args []string) (code int, output string, err error) {
	spec, base := &r.c.rec.Spec, r.c.rec.Process
	req := &api.Process{Id: newID(), Args: args, Env: base.Env, Cwd: base.WorkingDir, User: base.User, Groups: spec.Groups}
	if err := r.c.engine.restrict(spec, req, spec.Privileged); err != nil {
		return 0, "", err
	}
	p, err := r.guest.CreateProcess(ctx, req, agent.Stdio{Stdout: true, Stderr: true})
	if err != nil {
		return 0, "", err
	}
	defer r.endProbe(p)
	if err := p.Start(ctx); err != nil {
		return 0, "", err
	}
	var said beginning
	var outputs outputs
	outputs.pump(p.Stdout, said.add)
	outputs.pump(p.Stderr, said.add)
	exit, err := p.Wait(ctx)
	if err != nil {
		return 0, "", err
	}
	outputs.drain(ctx)
	return exit.Code, said.text(), nil
}

// beginning keeps the first bytes of what is added from any goroutine.
type beginning struct {
	mu  sync.Mutex
	buf []byte
}

func (b *beginning) add(p []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf = append(b.buf, p[:min(len(p), healthOutput-len(b.buf))]...)
}

func (b *beginning) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.buf)
}

// endProbe leaves nothing of a check's process, which may have run out of time.
func (r *run) endProbe(p *agent.Process) {
	ctx, cancel := context.WithTimeout(r.ctx, killTimeout)
	defer cancel()
	err := p.Signal(ctx, sigKILL, false)
	if err == nil {
		_, err = p.Wait(ctx)
	}
	p.Close()
	if err = errors.Join(err, p.Delete(ctx)); err != nil && r.ctx.Err() == nil {
		r.log.Debug("end a health check", "error", err)
	}
}
