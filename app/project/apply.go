package project

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"golang.org/x/sync/errgroup"

	"github.com/skerry-app/skerry/app/api"
	"github.com/skerry-app/skerry/app/label"
	"github.com/skerry-app/skerry/app/project/skerryfile"
	"github.com/skerry-app/skerry/engine"
)

// parallelPulls bounds how many images are fetched at once; each fetches
// several layers at once by itself.
const parallelPulls = 3

// change is one Up or Down at work.
type change struct {
	engine   Engine
	progress func(api.ProjectProgress)
}

func (c *change) say(container, status, detail string) {
	c.progress(api.ProjectProgress{Container: container, Status: status, Detail: detail})
}

// up fetches all images first, so that nothing is taken down for the sake of
// something that cannot be had; then removes what is gone or has changed, so
// that its ports and addresses are free; then makes all, so that pods are
// complete, and starts.
func (c *change) up(ctx context.Context, p plan) error {
	if err := c.pullAll(ctx, p.steps); err != nil {
		return err
	}
	outdated := slices.Clone(p.gone)
	for i := range p.steps {
		s := &p.steps[i]
		if s.existing != nil && c.changed(s) {
			outdated = append(outdated, *s.existing)
			s.existing = nil
		}
	}
	if err := errors.Join(c.down(ctx, outdated), c.interruptPods(ctx, p.steps)); err != nil {
		return err
	}
	for i := range p.steps {
		if err := c.create(ctx, &p.steps[i]); err != nil {
			return err
		}
	}
	return inOrder(p.steps, step.id, step.needs, func(s step) error { return c.bringUp(ctx, s) })
}

func (s step) id() string      { return s.name }
func (s step) needs() []string { return s.dependsOn }

// changed tells whether a container was made from something else than what the
// file says now.
func (c *change) changed(s *step) bool {
	made := s.existing.snapshot
	if made.Spec.Labels[label.Hash] != s.spec.Labels[label.Hash] {
		return true
	}
	image, err := c.engine.Image(s.spec.Image)
	return err == nil && image != made.ImageID
}

func (c *change) pullAll(ctx context.Context, steps []step) error {
	var pulls errgroup.Group
	pulls.SetLimit(parallelPulls)
	failures := make([]error, len(steps))
	for i, s := range steps {
		if !c.mustPull(s) {
			continue
		}
		pulls.Go(func() error {
			if err := c.pull(ctx, s); err != nil {
				failures[i] = fmt.Errorf("container %s: %w", s.name, err)
			}
			return nil
		})
	}
	_ = pulls.Wait() // the failures are kept in their order
	return errors.Join(failures...)
}

// mustPull goes by the policy. A container that was made from what the file
// says needs no image any more.
func (c *change) mustPull(s step) bool {
	switch s.pull {
	case skerryfile.PullAlways:
		return true
	case skerryfile.PullNever:
		return false
	}
	if s.existing != nil && !c.changed(&s) {
		return false
	}
	_, err := c.engine.Image(s.spec.Image)
	return errdefs.IsNotFound(err)
}

func (c *change) pull(ctx context.Context, s step) error {
	c.say(s.name, "pulling", s.spec.Image)
	err := c.engine.Pull(ctx, s.spec.Image, s.spec.Platform, func(current, total int64) {
		c.progress(api.ProjectProgress{Container: s.name, Status: "pulling", Current: current, Total: total})
	})
	if err != nil {
		return err
	}
	c.say(s.name, "pulled", s.spec.Image)
	return nil
}

// interruptPods stops what runs in pods that get another container: a machine
// has the disks that it was started with.
func (c *change) interruptPods(ctx context.Context, steps []step) error {
	var interrupted errgroup.Group
	for _, s := range steps {
		grows := func(o step) bool { return o.existing == nil && o.spec.Pod == s.spec.Pod }
		if s.spec.Pod == "" || s.existing == nil || !slices.ContainsFunc(steps, grows) {
			continue
		}
		interrupted.Go(func() error {
			c.say(s.name, "stopping", "its pod changes")
			if err := s.existing.Stop(ctx, "", nil); err != nil && !errdefs.IsNotModified(err) {
				return c.failed(s.name, "stop", err)
			}
			return nil
		})
	}
	return interrupted.Wait()
}

// create makes a container if there is none.
func (c *change) create(ctx context.Context, s *step) error {
	if s.existing != nil {
		return nil
	}
	c.say(s.name, "creating", "")
	made, err := c.engine.Create(ctx, s.spec)
	if err != nil {
		return c.failed(s.name, "create", err)
	}
	s.existing = &member{Container: made, name: s.name, snapshot: made.Snapshot()}
	return nil
}

// bringUp starts a container if it does not run.
func (c *change) bringUp(ctx context.Context, s step) error {
	switch status := s.existing.Snapshot().State.Status; status {
	case engine.StatusRunning:
		c.say(s.name, "running", "unchanged")
		return nil
	case engine.StatusPaused:
		c.say(s.name, "paused", "unchanged")
		return nil
	}
	return c.start(ctx, s.name, s.existing)
}

func (c *change) start(ctx context.Context, name string, target Container) error {
	c.say(name, "starting", "")
	if err := target.Start(ctx); err != nil && !errdefs.IsNotModified(err) {
		return c.failed(name, "start", err)
	}
	c.say(name, "running", published(target.Snapshot()))
	return nil
}

func (c *change) failed(name, action string, err error) error {
	c.say(name, "failed", "")
	return fmt.Errorf("container %s: %s: %w", name, action, err)
}

// published says where a container's ports are reached.
func published(s engine.Snapshot) string {
	var places []string
	for _, b := range s.Bindings {
		host := "localhost"
		if b.HostIP.IsValid() && !b.HostIP.IsLoopback() {
			host = b.HostIP.String()
		}
		if place := fmt.Sprintf("%s:%d -> %d", host, b.HostPort, b.Container); !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	return strings.Join(places, ", ")
}

// down stops and removes containers, each before those that it depends on.
func (c *change) down(ctx context.Context, members []member) error {
	dependents := map[string][]string{}
	for _, m := range members {
		for _, needed := range m.dependsOn() {
			dependents[needed] = append(dependents[needed], m.id())
		}
	}
	return inOrder(members, member.id, func(m member) []string { return dependents[m.id()] },
		func(m member) error { return c.takeDown(ctx, m) })
}

func (c *change) takeDown(ctx context.Context, m member) error {
	c.say(m.name, "stopping", "")
	if err := m.Stop(ctx, "", nil); err != nil && !errdefs.IsNotModified(err) && !errdefs.IsNotFound(err) {
		return c.failed(m.name, "stop", err)
	}
	if err := m.Remove(ctx, engine.RemoveOptions{Volumes: true}); err != nil && !errdefs.IsNotFound(err) {
		return c.failed(m.name, "remove", err)
	}
	c.say(m.name, "removed", "")
	return nil
}

// errSkipped marks what was left as it is because another failed first.
var errSkipped = errors.New("was left as it is")

// inOrder does something to each item, as many at once as their needs allow:
// an item's turn comes when all that it needs are done, and never when one of
// them failed. Needs that are no item's ID do not count. All failures come
// back, in the order of the items.
func inOrder[T any](items []T, id func(T) string, needs func(T) []string, do func(T) error) error {
	type result struct {
		done chan struct{}
		err  error
	}
	results := make(map[string]*result, len(items))
	for _, item := range items {
		results[id(item)] = &result{done: make(chan struct{})}
	}
	var all sync.WaitGroup
	for _, item := range items {
		all.Go(func() {
			own := results[id(item)]
			defer close(own.done)
			for _, name := range needs(item) {
				needed, ok := results[name]
				if !ok {
					continue
				}
				<-needed.done
				if needed.err != nil {
					own.err = fmt.Errorf("%s %w because of %s", id(item), errSkipped, name)
					return
				}
			}
			own.err = do(item)
		})
	}
	all.Wait()
	var failures []error
	for _, item := range items {
		failures = append(failures, results[id(item)].err)
	}
	return errors.Join(failures...)
}
