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
		if s.existing != nil && len(s.changed(c.engine)) > 0 {
			outdated = append(outdated, *s.existing)
			s.existing = nil
		}
	}
	if err := errors.Join(c.down(ctx, outdated), c.interruptPods(ctx, p.steps)); err != nil {
		return err
	}
	for _, v := range p.volumes {
		if _, err := c.engine.CreateVolume(v); err != nil {
			return err
		}
	}
	for i := range p.steps {
		if err := c.create(ctx, &p.steps[i]); err != nil {
			return err
		}
	}
	running := make(map[string]Container, len(p.steps))
	for _, s := range p.steps {
		running[s.name] = s.existing
	}
	return inOrder(p.steps, func(s step) string { return s.name }, func(s step) []need { return s.needs },
		func(s step) error { return c.bringUp(ctx, s) },
		func(s step, n need) error {
			return await(ctx, running[n.name], n, func(status, detail string) { c.say(s.name, status, detail) })
		})
}

// changed are the keys of the file that the container was made from other values
// of.
func (s *step) changed(e Engine) []string {
	made := s.existing.snapshot
	keys := differences(parsePrints(made.Spec.Labels[label.Prints]), parsePrints(s.spec.Labels[label.Prints]))
	if image, err := e.Image(s.spec.Image); err == nil && image != made.ImageID && !slices.Contains(keys, "image") {
		keys = append(keys, "image")
	}
	return keys
}

// liveLabels are the labels that may change while a container runs, and the keys
// of the file that they come from.
var liveLabels = map[string]string{label.DependsOn: "depends_on", label.WebPort: "web_port"}

// live is what can be changed of the container as it is, and the keys of the file
// that ask for it.
func (s *step) live() (u engine.Update, keys []string) {
	made := s.existing.snapshot.Spec
	if made.Restart != s.spec.Restart {
		u.Restart = &s.spec.Restart
		keys = append(keys, "restart")
	}
	u.Labels = map[string]string{}
	for name, key := range liveLabels {
		if made.Labels[name] != s.spec.Labels[name] {
			u.Labels[name] = s.spec.Labels[name]
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return u, keys
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
	if s.existing != nil && len(s.changed(c.engine)) == 0 {
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

// bringUp starts a container if it does not run, and changes what can be changed
// of one that exists.
func (c *change) bringUp(ctx context.Context, s step) error {
	if u, keys := s.live(); len(keys) > 0 {
		if err := s.existing.Update(u); err != nil {
			return c.failed(s.name, "update", err)
		}
		c.say(s.name, "updated", strings.Join(keys, ", "))
	}
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
	return backwards(members, func(m member) error { return c.takeDown(ctx, m) })
}

// stop stops containers in the same order.
func (c *change) stop(ctx context.Context, members []member) error {
	return backwards(members, func(m member) error {
		c.say(m.name, "stopping", "")
		if err := m.Stop(ctx, "", nil); err != nil && !errdefs.IsNotModified(err) {
			return c.failed(m.name, "stop", err)
		}
		c.say(m.name, "stopped", "")
		return nil
	})
}

// forwards does something to containers, to each once those that it depends on
// are as it needs them.
func (c *change) forwards(ctx context.Context, members []member, do func(member) error) error {
	byID := make(map[string]member, len(members))
	for _, m := range members {
		byID[m.id()] = m
	}
	return inOrder(members, member.id, member.needs, do, func(m member, n need) error {
		return await(ctx, byID[n.name], need{byID[n.name].name, n.condition}, func(status, detail string) { c.say(m.name, status, detail) })
	})
}

// backwards does something to containers, to each after those that depend on it.
func backwards(members []member, do func(member) error) error {
	dependents := map[string][]need{}
	for _, m := range members {
		for _, n := range m.needs() {
			dependents[n.name] = append(dependents[n.name], need{name: m.id()})
		}
	}
	return inOrder(members, member.id, func(m member) []need { return dependents[m.id()] }, do, func(member, need) error { return nil })
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

// removeVolumes deletes the volumes of a project file.
func (c *change) removeVolumes(file string) error {
	all, err := c.engine.Volumes()
	if err != nil {
		return err
	}
	var failures []error
	for _, v := range all {
		if v.Labels[label.File] != file {
			continue
		}
		if err := c.engine.RemoveVolume(v.Name); err != nil {
			failures = append(failures, err)
			continue
		}
		c.say("", "removed", "volume "+v.Name)
	}
	return errors.Join(failures...)
}

// errSkipped marks what was left as it is because another failed first.
var errSkipped = errors.New("was left as it is")

// inOrder does something to each item, as many at once as their needs allow:
// an item's turn comes when all that it needs are done, and as awaited, and never
// when one of them failed. Needs that are no item's ID do not count. All failures
// come back, in the order of the items.
func inOrder[T any](items []T, id func(T) string, needs func(T) []need, do func(T) error, await func(T, need) error) error {
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
			for _, n := range needs(item) {
				needed, ok := results[n.name]
				if !ok {
					continue
				}
				<-needed.done
				if needed.err != nil {
					own.err = fmt.Errorf("%s %w because of %s", id(item), errSkipped, n.name)
					return
				}
				if err := await(item, n); err != nil {
					own.err = fmt.Errorf("%s %w: %w", id(item), errSkipped, err)
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
