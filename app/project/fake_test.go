package project

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/skerry-app/skerry/engine"
)

// memoryEngine keeps containers and images in memory. It holds to the engine's
// contract where projects rely on it; machines are tested elsewhere.
type memoryEngine struct {
	mu         sync.Mutex
	containers []*memoryContainer
	images     map[string]digest.Digest // here
	remote     map[string]digest.Digest // to be had by Pull
	volumes    []engine.Volume
	done       []string         // what was done, in order
	fail       map[string]error // by what would be done: "start shop-web"
	created    int
	changed    chan struct{} // closed and replaced when a state changes by itself
}

type memoryContainer struct {
	engine   *memoryEngine
	snapshot engine.Snapshot
}

func newMemoryEngine(images ...string) *memoryEngine {
	e := &memoryEngine{images: map[string]digest.Digest{}, remote: map[string]digest.Digest{}, fail: map[string]error{}, changed: make(chan struct{})}
	for _, name := range images {
		e.remote[name] = digest.FromString(name)
	}
	return e
}

// act notes what is done, or fails as it was told to. The lock is held.
func (e *memoryEngine) act(format string, a ...any) error {
	what := fmt.Sprintf(format, a...)
	if err := e.fail[what]; err != nil {
		return err
	}
	e.done = append(e.done, what)
	return nil
}

// take returns what was done since the last call.
func (e *memoryEngine) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	done := e.done
	e.done = nil
	return done
}

func (e *memoryEngine) states() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var words []string
	for _, c := range e.containers {
		words = append(words, c.snapshot.Name+"="+string(c.snapshot.State.Status))
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

func (e *memoryEngine) Containers() []Container {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []Container
	for _, c := range e.containers {
		all = append(all, c)
	}
	return all
}

func (e *memoryEngine) Create(_ context.Context, s engine.Spec) (Container, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	image, ok := e.images[s.Image]
	if !ok {
		return nil, errdefs.ErrNotFound.WithMessage("no such image: " + s.Image)
	}
	for _, c := range e.containers {
		if c.snapshot.Name == s.Name {
			return nil, errdefs.ErrConflict.WithMessage("name taken: " + s.Name)
		}
	}
	if err := e.act("create %s", s.Name); err != nil {
		return nil, err
	}
	e.created++
	c := &memoryContainer{e, engine.Snapshot{ID: fmt.Sprint(e.created), Name: s.Name, Spec: s, ImageID: image,
		State: engine.State{Status: engine.StatusCreated}}}
	e.containers = append(e.containers, c)
	return c, nil
}

func (e *memoryEngine) Volumes() ([]engine.Volume, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.volumes), nil
}

func (e *memoryEngine) CreateVolume(v engine.Volume) (engine.Volume, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, have := range e.volumes {
		if have.Name == v.Name {
			return have, nil
		}
	}
	e.volumes = append(e.volumes, v)
	return v, e.act("make volume %s", v.Name)
}

func (e *memoryEngine) RemoveVolume(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.volumes = slices.DeleteFunc(e.volumes, func(v engine.Volume) bool { return v.Name == name })
	return e.act("remove volume %s", name)
}

func (e *memoryEngine) Image(name string) (digest.Digest, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if id, ok := e.images[name]; ok {
		return id, nil
	}
	return "", errdefs.ErrNotFound.WithMessage("no such image: " + name)
}

func (e *memoryEngine) Pull(_ context.Context, name, _ string, progress func(current, total int64)) error {
	progress(1, 2)
	e.mu.Lock()
	defer e.mu.Unlock()
	id, ok := e.remote[name]
	if !ok {
		return errdefs.ErrNotFound.WithMessage("pull " + name + ": not in the registry")
	}
	e.images[name] = id
	return e.act("pull %s", name)
}

func (c *memoryContainer) Snapshot() engine.Snapshot {
	c.engine.mu.Lock()
	defer c.engine.mu.Unlock()
	return c.snapshot
}

func (c *memoryContainer) Start(context.Context) error {
	c.engine.mu.Lock()
	defer c.engine.mu.Unlock()
	if err := c.engine.act("start %s", c.snapshot.Name); err != nil {
		return err
	}
	c.snapshot.State.Status, c.snapshot.State.Wanted = engine.StatusRunning, true
	if c.snapshot.Spec.Health != nil {
		c.snapshot.State.Health = &engine.Health{Status: engine.HealthStarting}
	}
	c.snapshot.Bindings = c.snapshot.Spec.Ports
	return nil
}

func (c *memoryContainer) Resume(ctx context.Context) error {
	if s := c.Snapshot().State; !s.Wanted || s.Status == engine.StatusRunning {
		return nil
	}
	return c.Start(ctx)
}

// Until waits for what tests change with set.
func (c *memoryContainer) Until(ctx context.Context, cond func(engine.State) bool) error {
	for {
		c.engine.mu.Lock()
		ok, changed := cond(c.snapshot.State), c.engine.changed
		c.engine.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *memoryContainer) Update(u engine.Update) error {
	c.engine.mu.Lock()
	defer c.engine.mu.Unlock()
	labels := maps.Clone(c.snapshot.Spec.Labels)
	maps.Copy(labels, u.Labels)
	c.snapshot.Spec.Labels = labels
	if u.Restart != nil {
		c.snapshot.Spec.Restart = *u.Restart
	}
	return c.engine.act("update %s", c.snapshot.Name)
}

// set changes a container's state as its machine would.
func (c *memoryContainer) set(f func(*engine.State)) {
	c.engine.mu.Lock()
	defer c.engine.mu.Unlock()
	f(&c.snapshot.State)
	close(c.engine.changed)
	c.engine.changed = make(chan struct{})
}

func (c *memoryContainer) Stop(context.Context, string, *time.Duration) error {
	c.engine.mu.Lock()
	defer c.engine.mu.Unlock()
	if c.snapshot.State.Status != engine.StatusRunning {
		return errdefs.ErrNotModified.WithMessage("not running")
	}
	c.snapshot.State.Status, c.snapshot.State.Wanted = engine.StatusExited, false
	return c.engine.act("stop %s", c.snapshot.Name)
}

func (c *memoryContainer) Remove(context.Context, engine.RemoveOptions) error {
	c.engine.mu.Lock()
	defer c.engine.mu.Unlock()
	if c.snapshot.State.Status == engine.StatusRunning {
		return errdefs.ErrConflict.WithMessage("running")
	}
	c.engine.containers = slices.DeleteFunc(c.engine.containers, func(o *memoryContainer) bool { return o == c })
	return c.engine.act("remove %s", c.snapshot.Name)
}
