package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sync/errgroup"

	"github.com/skerry-app/skerry/engine/agent"
	"github.com/skerry-app/skerry/engine/logfile"
	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/api/reason"
)

// StartError says that a container's process could not be started.
type StartError struct {
	Code int // 127: not found, 126: not executable, 125: anything else
	Err  error
}

func (e *StartError) Error() string { return e.Err.Error() }
func (e *StartError) Unwrap() error { return e.Err }

// Start boots the container's machine and starts its process. A container that
// runs already gives errdefs.ErrNotModified, a process that cannot be started
// a *StartError. When it fails nothing runs and the container keeps the error.
func (c *Container) Start(ctx context.Context) error {
	unlock, err := c.lockOp(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if c.liveRun() == nil {
		c.takeOver()
	}
	return c.start(ctx)
}

// start is Start with the operation lock held.
func (c *Container) start(ctx context.Context) error {
	if err := c.settle(ctx); err != nil {
		return err
	}
	switch s := c.Snapshot().State.Status; {
	case c.isRemoved():
		return errdefs.ErrNotFound.WithMessage("No such container: " + c.id)
	case s.Alive():
		return errdefs.ErrNotModified.WithMessage(fmt.Sprintf("container %s is %s already", c.name(), s))
	case c.engine.closing():
		return errdefs.ErrUnavailable.WithMessage("the app is stopping")
	}
	r := newRun(c)
	c.setRun(r)
	c.hub.log.Begin()
	err := r.start(ctx)
	if err == nil {
		c.began(r)
		go r.supervise()
		return nil
	}
	r.release(false)
	c.failed(r, err)
	return err
}

// settle waits until the machine of an ended run is gone.
func (c *Container) settle(ctx context.Context) error {
	return c.until(ctx, func() bool { return c.run == nil || c.rec.State.Status.Alive() })
}

func (r *run) start(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, bootTimeout, errors.New("the container did not start in "+bootTimeout.String()))
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)() // an abort ends the start
	defer func() {
		if cause := context.Cause(r.ctx); err != nil && cause != nil {
			err = fmt.Errorf("start container %s: %w", r.c.name(), cause)
		}
	}()
	if err := r.open(ctx); err != nil {
		return fmt.Errorf("start container %s: %w", r.c.name(), err)
	}
	return r.launch(ctx)
}

// open gets the run its machine, booted, and publishes ports meanwhile.
func (r *run) open(ctx context.Context) (err error) {
	m, mine, err := r.c.engine.machineFor(ctx, r.c)
	if err != nil {
		return err
	}
	r.machine = m
	if mine {
		defer func() { m.settled(err) }()
		m.connected = m.connected && (!r.filesOnly || m.shared())
	}
	g, gctx := errgroup.WithContext(ctx)
	var config vm.Config
	if mine {
		g.Go(func() (err error) {
			config, err = m.prepare(gctx)
			return err
		})
	}
	if !r.filesOnly {
		g.Go(func() error { return errors.Join(r.publish(gctx, r.c.rec.Spec.Ports), r.publishSockets()) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	r.clock.lap("prepare")
	if mine {
		if err := m.boot(ctx, config, &r.clock); err != nil {
			return m.sources.inWords(err)
		}
		if m.shared() {
			if err := m.client.Configure(ctx, m.configuration()); err != nil {
				return err
			}
		}
	}
	r.guest = m.client.Container(r.c.id)
	return nil
}

// launch configures the guest and starts the process.
func (r *run) launch(ctx context.Context) (err error) {
	stdio := agent.Stdio{Stdin: r.c.rec.Spec.OpenStdin, Stdout: true, Stderr: !r.c.rec.Spec.TTY}
	if err := r.create(ctx, stdio); err != nil {
		return r.startError(err)
	}
	r.clock.lap("configure")
	hub := r.c.hub
	r.outputs.pump(r.process.Stdout, func(p []byte) { hub.write(logfile.Stdout, p) })
	r.outputs.pump(r.process.Stderr, func(p []byte) { hub.write(logfile.Stderr, p) })
	if err := r.process.Start(ctx); err != nil {
		return r.startError(err)
	}
	r.clock.lap("process")
	return nil
}

// create has the guest prepare the container, together with its machine if that
// is its own.
func (r *run) create(ctx context.Context, stdio agent.Stdio) error {
	spec, err := r.configuration()
	if err != nil {
		return err
	}
	if !r.filesOnly {
		spec.Sockets = r.bringSockets()
	}
	if r.machine.shared() {
		r.process, err = r.guest.Create(ctx, spec, stdio)
		return err
	}
	machine := r.machine.configuration()
	machine.Container = spec
	r.process, err = r.guest.Configure(ctx, machine, stdio)
	return err
}

// startError gives a failure of the guest its exit status.
func (r *run) startError(err error) error {
	code := exitSkerry
	var se *agent.StartError
	if errors.As(err, &se) {
		switch se.Reason {
		case reason.NotFound:
			code = 127
		case reason.NotExecutable:
			code = 126
		}
	}
	return &StartError{code, fmt.Errorf("start container %s: %w", r.c.name(), r.machine.sources.inWords(err))}
}

// configuration is what the guest is told of the container.
func (r *run) configuration() (*api.Container, error) {
	c := r.c
	spec, p := c.rec.Spec, c.rec.Process
	req := &api.Container{
		Id:        c.id,
		Root:      &api.Root{ImageDisk: imageSerial(c.rec.ImageID), ScratchDisk: scratchSerial(c.id), ReadOnly: spec.ReadOnly},
		Names:     r.names(),
		Sysctls:   spec.Sysctls,
		Resources: spec.resources(),
		Process: &api.Process{Args: p.Args, Env: p.Env, Cwd: p.WorkingDir, User: p.User, Groups: spec.Groups,
			Terminal: spec.TTY, Init: spec.Init},
		MaskedPaths: paths(spec.MaskedPaths), ReadOnlyPaths: paths(spec.ReadOnlyPaths),
		ShmBytes: spec.ShmSize, DeviceRules: spec.DeviceRules, SharePids: spec.SharePIDs,
	}
	var err error
	if req.Devices, err = spec.devices(); err != nil {
		return nil, err
	}
	req.Devices = append(req.Devices, r.machine.sources.devices[c.id]...)
	if req.Mounts, err = spec.tmpfsMounts(); err != nil {
		return nil, err
	}
	req.Mounts = append(req.Mounts, r.machine.sources.mounts[c.id]...)
	return req, c.engine.restrict(&spec, req.Process, spec.Privileged)
}

// paths keeps the difference between none and the usual ones.
func paths(list []string) *api.Paths {
	if list == nil {
		return nil
	}
	return &api.Paths{Paths: list}
}

func networkName(s Spec) string {
	if s.Network == "" {
		return DefaultNetwork
	}
	return s.Network
}

// began marks the container as running.
func (c *Container) began(r *run) {
	c.update(func(rec *record) {
		rec.State = State{Status: StatusRunning, Wanted: true, Restarts: c.restarts.total, Health: startHealth(rec.Spec.Health),
			StartedAt: time.Now(), FinishedAt: rec.State.FinishedAt, Phases: r.clock.laps()}
		c.restarts.next = nil
		close(r.live)
	})
	c.event("start", nil)
}

// failed keeps why a start failed.
func (c *Container) failed(r *run, err error) {
	exit := Exit{Code: exitSkerry, Error: err.Error(), At: time.Now()}
	var se *StartError
	if errors.As(err, &se) {
		exit.Code = se.Code
	}
	c.finish(r, exit)
}

// finish records the end of a run, started or not, lets go of it, and sees to
// what follows.
func (c *Container) finish(r *run, exit Exit) {
	c.hub.end()
	wanted := c.Snapshot().State.Wanted
	next, gaveUp := c.decide(r, exit)
	if next == nil {
		c.endLog()
	}
	if gaveUp != nil {
		if exit.Error != "" {
			exit.Error += "; "
		}
		exit.Error += gaveUp.Error()
	}
	c.update(func(rec *record) {
		rec.State.Status = StatusExited
		rec.State.ExitCode, rec.State.OOMKilled, rec.State.Error = exit.Code, exit.OOMKilled, exit.Error
		rec.State.FinishedAt, rec.State.Pid, rec.State.Phases = exit.At, 0, r.clock.laps()
		rec.State.RestartAt = time.Time{}
		if next != nil && next.ctx.Err() == nil {
			rec.State.Status, rec.State.RestartAt = StatusRestarting, time.Now().Add(next.delay)
		}
		c.run, c.exit = nil, exit
		c.ended++
	})
	close(r.over)
	died := map[string]string{"exitCode": fmt.Sprint(exit.Code), "phases": formatPhases(r.clock.laps())}
	if unexpected := wanted && r.started() && !c.rec.Spec.Foreground && (exit.Code != 0 || exit.Error != ""); unexpected && next == nil && gaveUp == nil && !c.engine.closing() {
		died["unexpected"] = "true" // and final: nobody asked for it, and nobody waits for it
	}
	c.event("die", died)
	if next != nil {
		go c.restart(next)
	}
	if gaveUp != nil {
		c.event("give_up", map[string]string{"reason": gaveUp.Error()})
	}
	if !c.autoRemove() {
		return
	}
	// A start that failed holds the operation lock; the removal waits for it.
	go func() {
		unlock, err := c.lockOp(context.Background())
		if err != nil {
			return
		}
		defer unlock()
		if c.Snapshot().State.Status.Alive() {
			return // it was started again meanwhile
		}
		if err := c.remove(true); err != nil && !errdefs.IsNotFound(err) {
			r.log.Error("remove container after its end", "error", err)
		}
	}()
}

// endLog tells those who follow the log that no more comes.
func (c *Container) endLog() {
	if err := c.hub.log.End(); err != nil {
		c.engine.log.Warn("close container log", "container", c.id, "error", err)
	}
}

func (c *Container) autoRemove() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rec.Spec.AutoRemove
}

func (c *Container) isRemoved() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.removed
}

func (c *Container) setRun(r *run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run = r
}
