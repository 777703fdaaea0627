package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
)

// podKey names a pod: containers of one network that share a machine, its
// address and, if they want, its processes.
type podKey struct{ network, name string }

// pods has the machines that are shared.
type pods struct {
	mu       sync.Mutex
	machines map[podKey]*machine
}

func (s *Spec) podKey() podKey { return podKey{networkName(*s), s.Pod} }

// machineFor returns the machine for a run of the container: one of its own, or
// its pod's. mine tells whether the caller has to boot it.
func (e *Engine) machineFor(ctx context.Context, c *Container) (m *machine, mine bool, err error) {
	if c.rec.Spec.Pod == "" {
		return e.newMachine(c, []*Container{c}), true, nil
	}
	key := c.rec.Spec.podKey()
	for {
		e.pods.mu.Lock()
		m := e.pods.machines[key]
		switch {
		case m == nil:
			m = e.newMachine(c, e.podMembers(c))
			m.pod = &key
			e.pods.machines[key] = m
			e.pods.mu.Unlock()
			return m, true, nil
		case m.users == 0: // it is on its end
			e.pods.mu.Unlock()
			select {
			case <-m.gone:
				continue
			case <-ctx.Done():
				return nil, false, context.Cause(ctx)
			}
		case !slices.Contains(m.members, c):
			e.pods.mu.Unlock()
			return nil, false, errdefs.ErrConflict.WithMessage(fmt.Sprintf(
				"container %s was made after the machine of pod %s had been started, and disks cannot be added to that: stop the pod's other containers, then start them together", c.name(), key.name))
		}
		m.users++
		e.pods.mu.Unlock()
		select {
		case <-m.up:
			if m.err == nil {
				return m, false, nil
			}
			err = fmt.Errorf("pod %s: %w", key.name, m.err)
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		m.leave(true)
		return nil, false, err
	}
}

// podMembers are the containers of c's pod, c first.
func (e *Engine) podMembers(c *Container) []*Container {
	members := []*Container{c}
	for _, other := range e.Containers() {
		if other != c && other.rec.Spec.Pod != "" && other.rec.Spec.podKey() == c.rec.Spec.podKey() {
			members = append(members, other)
		}
	}
	slices.SortStableFunc(members[1:], func(a, b *Container) int { return cmp.Compare(a.id, b.id) })
	return members
}

// settled tells those who wait that the machine has booted, or why it has not.
func (m *machine) settled(err error) {
	m.err = err
	close(m.up)
}

// leave is called at the end of each run. The last one takes the machine with
// it.
func (m *machine) leave(flush bool) {
	pods := &m.engine.pods
	pods.mu.Lock()
	m.users--
	last := m.users == 0
	pods.mu.Unlock()
	if !last {
		return
	}
	m.release(flush)
	if m.pod != nil {
		pods.mu.Lock()
		delete(pods.machines, *m.pod)
		pods.mu.Unlock()
	}
	close(m.gone)
}

// shared tells whether containers besides this one may run in the machine.
func (m *machine) shared() bool { return m.pod != nil }

// removeContainer takes one container out of a machine that goes on for others,
// also if the answer to its being made was lost. A guest that does not let go of
// it is not left with its disks.
func (m *machine) removeContainer(r *run) {
	if !m.shared() || r.guest == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	err := r.guest.Remove(ctx)
	if ended, _ := m.ended(); err == nil || ended {
		return
	}
	r.log.Error("the guest does not let go of a container: its pod's machine is stopped", "error", err)
	m.pullPlug()
}
