// Package project keeps what runs in step with project files: it compares a
// file with the engine's containers, and makes, starts, replaces and removes
// what differs.
//
// Of what runs the containers themselves are the only memory: labels say which
// project and file they belong to, so nothing can be out of date after a crash,
// and a project comes down even when its file is gone. A list beside them keeps
// which files there are, and whether they are to come up with the app.
package project

import (
	"context"
	"fmt"
	"log/slog"
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

// Manager brings projects up and down, and keeps track of their files. Its
// methods may be called from any goroutine; what concerns one project happens one
// after the other.
type Manager struct {
	engine  Engine
	options Options
	log     *slog.Logger
	book    *book
	files   *files

	mu   sync.Mutex
	busy map[string]chan struct{} // by project file; holds a token while somebody works on it
}

var _ api.Projects = (*Manager)(nil)

// Options is what a Manager needs.
type Options struct {
	Book    string // path of the list of project files, which need not exist
	Version string // of this program, for the key requires
	Log     *slog.Logger
	Changed func()                                         // a project may have become another; may be nil
	Broken  func(name, file string, p skerryfile.Problems) // the file of a project that runs has got mistakes; may be nil
}

// NewManager returns a Manager of projects on e.
func NewManager(e *engine.Engine, o Options) *Manager { return newManager(realEngine{e}, o) }

func newManager(e Engine, o Options) *Manager {
	if o.Changed == nil {
		o.Changed = func() {}
	}
	if o.Broken == nil {
		o.Broken = func(string, string, skerryfile.Problems) {}
	}
	m := &Manager{engine: e, options: o, log: o.Log, busy: map[string]chan struct{}{}}
	var err error
	if m.book, err = openBook(o.Book); err != nil {
		m.log.Error("projects are only known by their containers", "error", err)
	}
	m.files = newFiles(m.load)
	return m
}

// load reads a project file with the environment that it was last brought up
// with.
func (m *Manager) load(file string) (*skerryfile.Project, error) {
	remembered, _ := m.book.get(file)
	return m.loadWith(file, remembered.Env)
}

func (m *Manager) loadWith(file string, env map[string]string) (*skerryfile.Project, error) {
	return skerryfile.Load(file, skerryfile.Options{Version: m.options.Version, Lookup: func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}})
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
	return m.up(ctx, r, progress)
}

// up is Up with the project's lock held.
func (m *Manager) up(ctx context.Context, r api.ProjectRequest, progress func(api.ProjectProgress)) error {
	file, err := m.loadWith(r.File, r.Env)
	if err != nil {
		return err
	}
	p, err := m.plan(file, r.Names)
	if err != nil {
		return err
	}
	m.log.Info("project up", "project", file.Name, "file", r.File)
	m.remember(r.File, func(e *entry) { e.Env, e.Stopped = r.Env, false })
	defer m.options.Changed()
	return (&change{engine: m.engine, progress: progress}).up(ctx, p)
}

// remember notes something of a file; a list that cannot be written is no reason
// not to do what was asked.
func (m *Manager) remember(file string, f func(*entry)) {
	if err := m.book.change(file, f); err != nil {
		m.log.Error("remember project", "file", file, "error", err)
	}
	m.files.read(file)
}

// Down stops and removes the project's containers, each before those that it
// depends on; with names, only these. Its volumes stay unless they are to go, too.
// It goes by what containers and volumes say of themselves and does not read the
// file.
func (m *Manager) Down(ctx context.Context, r api.ProjectRequest, progress func(api.ProjectProgress)) error {
	r.File = filepath.Clean(r.File)
	unlock, err := m.lock(ctx, r.File)
	if err != nil {
		return err
	}
	defer unlock()
	members := m.membersOf(r.File)
	if len(r.Names) > 0 {
		if members, err = choose(members, r.Names, r.File); err != nil {
			return err
		}
	}
	m.log.Info("project down", "file", r.File, "containers", len(members))
	if _, known := m.book.get(r.File); known && len(r.Names) == 0 {
		m.remember(r.File, func(e *entry) { e.Stopped = true })
	}
	defer m.options.Changed()
	c := &change{engine: m.engine, progress: progress}
	if err := c.down(ctx, members); err != nil || !r.Volumes {
		return err
	}
	return c.removeVolumes(r.File)
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

// membersOf are the containers of a project file, by name.
func (m *Manager) membersOf(file string) []member {
	return m.members(func(l map[string]string) bool { return l[label.File] == file })
}

// id is what the container is called outside of its project.
func (c member) id() string { return containerName(c.snapshot.Spec.Labels[label.Project], c.name) }

// needs are those of the container, by id.
func (c member) needs() []need {
	needs := parseNeeds(c.snapshot.Spec.Labels[label.DependsOn])
	for i := range needs {
		needs[i].name = containerName(c.snapshot.Spec.Labels[label.Project], needs[i].name)
	}
	return needs
}
