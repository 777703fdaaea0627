package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
)

// recordVersion is the format of a record on disk.
const recordVersion = 1

// record is what is kept of a container on disk.
type record struct {
	Version int
	ID      string
	Name    string
	Created time.Time
	Spec    Spec   // never changes; see spec
	Updated Update `json:",omitzero"`
	ImageID digest.Digest
	Arch    string // of the image's programs
	Process process
	State   State
}

// process is what runs in a container: the image's configuration with the
// Spec over it.
type process struct {
	Args       []string
	Env        []string
	WorkingDir string
	User       string
	StopSignal int
}

// Container is one container. Its methods may be called from any goroutine.
type Container struct {
	engine *Engine
	id     string
	hub    *hub

	// op is held by the one start, stop or removal that is under way.
	op chan struct{}

	mu       sync.Mutex
	rec      record
	run      *run          // while it has a machine, or is getting one
	changed  chan struct{} // closed and replaced whenever something below changes
	ended    int           // how many runs have ended
	exit     Exit          // of the last one
	removed  bool
	restarts restarts
}

func newContainer(e *Engine, rec record) *Container {
	return &Container{
		engine:  e,
		id:      rec.ID,
		rec:     rec,
		op:      make(chan struct{}, 1),
		changed: make(chan struct{}),
		hub:     newHub(e.home.output(rec.ID), e.log.With("container", rec.Name)),
		exit:    Exit{Code: rec.State.ExitCode, OOMKilled: rec.State.OOMKilled, Error: rec.State.Error, At: rec.State.FinishedAt},
	}
}

// ID returns the container's identity, 64 hexadecimal digits.
func (c *Container) ID() string { return c.id }

// Snapshot returns what is known of the container at this moment.
func (c *Container) Snapshot() Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Snapshot{
		ID: c.id, Name: c.rec.Name, Created: c.rec.Created, Spec: c.rec.spec(), ImageID: c.rec.ImageID, Arch: c.rec.Arch,
		Path: c.rec.Process.Args[0], Args: c.rec.Process.Args[1:], Env: c.rec.Process.Env,
		WorkingDir: c.rec.Process.WorkingDir, User: c.rec.Process.User,
		State: c.rec.State, LogPath: c.engine.home.output(c.id),
	}
	if c.run != nil {
		s.Endpoint, s.Bindings = c.run.place()
	}
	return s
}

// lockOp waits until no start, stop or removal is under way and keeps others
// out until the returned function is called.
func (c *Container) lockOp(ctx context.Context) (unlock func(), err error) {
	select {
	case c.op <- struct{}{}:
		return func() { <-c.op }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("container %s is busy: %w", c.name(), context.Cause(ctx))
	}
}

func (c *Container) name() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rec.Name
}

// update changes the record, saves it and wakes those who wait. A record that
// cannot be saved (a full disk) still counts for this process; the next start
// of the engine finds the older one, which is true enough to clean up by.
func (c *Container) update(f func(*record)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.rec)
	if err := c.save(); err != nil {
		c.engine.log.Error("save container", "container", c.rec.Name, "error", err)
	}
	c.wake()
}

// set changes the record for this process alone: not all is worth a write.
func (c *Container) set(f func(*record)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.rec)
}

// save writes the record; mu is held.
func (c *Container) save() error {
	data, err := json.MarshalIndent(c.rec, "", "\t")
	if err != nil {
		return err
	}
	return writeFile(c.engine.home.record(c.id), data)
}

// wake lets waiters look again; mu is held.
func (c *Container) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// until waits for cond, which is called with mu held.
func (c *Container) until(ctx context.Context, cond func() bool) error {
	for {
		c.mu.Lock()
		ok, changed := cond(), c.changed
		c.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Wait waits until cond holds and tells how the last run ended. Once
// registered (which may be nil) has been called no exit can be missed.
func (c *Container) Wait(ctx context.Context, cond WaitCondition, registered func()) (Exit, error) {
	c.mu.Lock()
	ended := c.ended
	c.mu.Unlock()
	if registered != nil {
		registered()
	}
	var exit Exit
	err := c.until(ctx, func() bool {
		exit = c.exit
		switch cond {
		case WaitNextExit:
			return c.ended > ended || c.removed
		case WaitRemoved:
			return c.removed
		default:
			return c.removed || !c.rec.State.Status.InUse()
		}
	})
	return exit, err
}

// Alive tells whether a container in this status has a process.
func (s Status) Alive() bool { return s == StatusRunning || s == StatusPaused }

// InUse tells whether it has a process, or is about to get another.
func (s Status) InUse() bool { return s.Alive() || s == StatusRestarting }

// Rename gives the container another name.
func (c *Container) Rename(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	e := c.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.nameFree(name, c); err != nil {
		return err
	}
	old := c.name()
	c.update(func(r *record) { r.Name = name })
	c.event("rename", map[string]string{"oldName": "/" + old})
	return nil
}

// RemoveOptions say how to remove a container.
type RemoveOptions struct {
	Force   bool // kill it first
	Volumes bool // with the volumes that were made for it
}

// Remove deletes the container and its data.
func (c *Container) Remove(ctx context.Context, o RemoveOptions) error {
	if o.Force {
		c.takeOver()
		c.abort(errors.New("the container is being removed"))
	}
	unlock, err := c.lockOp(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if s := c.Snapshot(); s.State.Status.InUse() {
		if !o.Force {
			return errdefs.ErrConflict.WithMessage(fmt.Sprintf(
				"container %s is %s: stop it first, or remove it by force", s.Name, s.State.Status))
		}
		if err := c.kill(ctx); err != nil {
			return err
		}
	}
	return c.remove(o.Volumes)
}

// remove deletes a container that does not run, with the volumes that were made
// for it if these are to go. The operation lock is held.
func (c *Container) remove(volumes bool) error {
	c.mu.Lock()
	if c.removed {
		c.mu.Unlock()
		return errdefs.ErrNotFound.WithMessage("No such container: " + c.id)
	}
	c.mu.Unlock()
	e := c.engine
	gone := e.home.container(prefixGone + c.id)
	// After the rename the container does not come back, whatever happens to
	// the rest of the removal; Open finishes it.
	if err := os.Rename(e.home.container(c.id), gone); err != nil && !errors.Is(err, os.ErrNotExist) {
		c.update(func(r *record) { r.State.Status, r.State.Error = StatusDead, err.Error() })
		return fmt.Errorf("remove container %s: %w", c.name(), err)
	}
	if err := os.RemoveAll(gone); err != nil {
		e.log.Error("remove container's data", "container", c.name(), "error", err)
	}
	e.mu.Lock()
	delete(e.containers, c.id)
	e.mu.Unlock()
	c.hub.end()
	c.mu.Lock()
	c.removed = true
	c.wake()
	c.mu.Unlock()
	c.event("destroy", nil)
	e.forgetDisk(c.rec.ImageID)
	if volumes {
		e.removeUnnamed(c.mounts())
	}
	return nil
}

func (c *Container) event(action string, attributes map[string]string) {
	c.mu.Lock()
	ev := Event{Type: "container", Action: action, ID: c.id, Name: c.rec.Name, Attributes: map[string]string{}}
	for k, v := range c.rec.spec().Labels {
		ev.Attributes[k] = v
	}
	ev.Attributes["image"] = c.rec.Spec.Image
	c.mu.Unlock()
	for k, v := range attributes {
		ev.Attributes[k] = v
	}
	c.engine.bus.publish(ev)
}
