// Package project keeps what runs in step with project files: it compares a
// file with the engine's containers, and makes, starts, replaces and removes
// what differs.
//
// The containers themselves are the only memory: labels say which project and
// file they belong to, so nothing can be out of date after a crash, and a
// project comes down even when its file is gone.
package project

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/app/api"
	"github.com/skerry-app/skerry/app/label"
	"github.com/skerry-app/skerry/app/project/skerryfile"
	"github.com/skerry-app/skerry/engine"
)

// Manager brings projects up and down. Its methods may be called from any
// goroutine; what concerns one project happens one after the other.
type Manager struct {
	engine  Engine
	version string
	log     *slog.Logger

	mu   sync.Mutex
	busy map[string]chan struct{} // by project file; holds a token while somebody works on it
}

var _ api.Projects = (*Manager)(nil)

// NewManager returns a Manager of projects on e.
func NewManager(e *engine.Engine, log *slog.Logger) *Manager {
	return newManager(realEngine{e}, e.Info().Version, log)
}

func newManager(e Engine, version string, log *slog.Logger) *Manager {
	return &Manager{engine: e, version: version, log: log, busy: map[string]chan struct{}{}}
}

// lock waits until nobody else works on the project of file.
func (m *Manager) lock(ctx context.Context, file string) (unlock func(), err error) {
	m.mu.Lock()
	token, ok := m.busy[file]
	if !ok {
		token = make(chan struct{}, 1)
		m.busy[file] = token
	}
	m.mu.Unlock()
	select {
	case token <- struct{}{}:
		return func() { <-token }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for another command to finish with %s: %w", file, ctx.Err())
	}
}

// Up makes and starts what the file describes, replaces containers that the
// file describes differently by now, and, unless names are given, removes
// those that it does not describe any more. With names, only these containers
// and those they depend on are looked at. A failure stops what depends on it
// and nothing else; the error names each container that failed.
func (m *Manager) Up(ctx context.Context, r api.ProjectRequest, progress func(api.ProjectProgress)) error {
	r.File = filepath.Clean(r.File)
	unlock, err := m.lock(ctx, r.File)
	if err != nil {
		return err
	}
	defer unlock()
	file, err := skerryfile.Load(r.File, skerryfile.Options{Version: m.version, Lookup: func(name string) (string, bool) {
		value, ok := r.Env[name]
		return value, ok
	}})
	if err != nil {
		return err
	}
	p, err := m.plan(file, r.Names)
	if err != nil {
		return err
	}
	m.log.Info("project up", "project", file.Name, "file", r.File)
	return (&change{engine: m.engine, progress: progress}).up(ctx, p)
}

// Down stops and removes the project's containers, each before those that it
// depends on; with names, only these. It goes by what the containers say of
// themselves and does not read the file.
func (m *Manager) Down(ctx context.Context, r api.ProjectRequest, progress func(api.ProjectProgress)) error {
	r.File = filepath.Clean(r.File)
	unlock, err := m.lock(ctx, r.File)
	if err != nil {
		return err
	}
	defer unlock()
	members := m.members(func(l map[string]string) bool { return l[label.File] == r.File })
	if len(r.Names) > 0 {
		if members, err = choose(members, r.Names, r.File); err != nil {
			return err
		}
	}
	m.log.Info("project down", "file", r.File, "containers", len(members))
	return (&change{engine: m.engine, progress: progress}).down(ctx, members)
}

// choose picks the containers with these names.
func choose(members []member, names []string, file string) ([]member, error) {
	var chosen []member
	for _, name := range names {
		i := slices.IndexFunc(members, func(c member) bool { return c.name == name })
		if i < 0 {
			return nil, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("the project of %s has no container %q", file, name))
		}
		chosen = append(chosen, members[i])
	}
	return chosen, nil
}

// List returns the projects that have containers, by name.
func (m *Manager) List(context.Context) ([]api.ProjectStatus, error) {
	projects := map[[2]string]*api.ProjectStatus{}
	for _, c := range m.members(func(l map[string]string) bool { return l[label.Project] != "" }) {
		labels := c.snapshot.Spec.Labels
		id := [2]string{labels[label.Project], labels[label.File]}
		p, ok := projects[id]
		if !ok {
			p = &api.ProjectStatus{Name: id[0], File: id[1]}
			projects[id] = p
		}
		p.Containers = append(p.Containers, api.ProjectContainer{Name: c.name, ID: c.snapshot.ID, Status: string(c.snapshot.State.Status)})
	}
	list := make([]api.ProjectStatus, 0, len(projects))
	for _, id := range slices.SortedFunc(maps.Keys(projects), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		list = append(list, *projects[id])
	}
	return list, nil
}

// member is a container that belongs to a project.
type member struct {
	Container
	name     string // in the project
	snapshot engine.Snapshot
}

// members are the containers whose labels belong, by name.
func (m *Manager) members(belong func(labels map[string]string) bool) []member {
	var found []member
	for _, c := range m.engine.Containers() {
		s := c.Snapshot()
		if name := s.Spec.Labels[label.Container]; name != "" && belong(s.Spec.Labels) {
			found = append(found, member{c, name, s})
		}
	}
	slices.SortFunc(found, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return found
}

// id is what the container is called outside of its project.
func (c member) id() string { return containerName(c.snapshot.Spec.Labels[label.Project], c.name) }

// dependsOn are the ids of the containers that this one needs.
func (c member) dependsOn() []string {
	names := c.snapshot.Spec.Labels[label.DependsOn]
	if names == "" {
		return nil
	}
	ids := strings.Split(names, ",")
	for i, name := range ids {
		ids[i] = containerName(c.snapshot.Spec.Labels[label.Project], name)
	}
	return ids
}
