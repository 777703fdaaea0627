package project

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/app/api"
	"github.com/skerry-app/skerry/app/label"
	"github.com/skerry-app/skerry/app/project/skerryfile"
)

// Run brings up what is to be up, and then notices changed project files, until
// ctx ends. A file that has changed is never applied by itself.
func (m *Manager) Run(ctx context.Context) {
	for _, s := range m.Projects() {
		m.files.get(s.File)
	}
	var work sync.WaitGroup
	work.Go(func() { m.resume(ctx) })
	m.files.watch(ctx, m.log, m.fileChanged)
	work.Wait()
}

func (m *Manager) fileChanged(file string) {
	m.log.Info("project file has changed", "file", file)
	_, err := m.files.get(file)
	var problems skerryfile.Problems
	if members := m.membersOf(file); errors.As(err, &problems) && slices.ContainsFunc(members, member.isUp) {
		m.options.Broken(members[0].snapshot.Spec.Labels[label.Project], file, problems)
	}
	m.options.Changed()
}

// isUp tells whether the container runs, or is about to.
func (c member) isUp() bool { return c.snapshot.State.Status.InUse() }

// resume brings up what was up when the app ended, in the order of dependencies,
// and projects that start with the app, unless they were stopped by hand.
func (m *Manager) resume(ctx context.Context) {
	var all sync.WaitGroup
	known := m.Projects()
	for _, s := range known {
		all.Go(func() {
			if err := m.resumeProject(ctx, s); err != nil && ctx.Err() == nil {
				m.log.Error("bring project up again", "project", s.Name, "file", s.File, "error", err)
			}
		})
	}
	for _, c := range m.engine.Containers() {
		if s := c.Snapshot(); s.Spec.Labels[label.File] == "" {
			all.Go(func() {
				if err := c.Resume(ctx); err != nil && ctx.Err() == nil {
					m.log.Error("bring container up again", "container", s.Name, "error", err)
				}
			})
		}
	}
	all.Wait()
}

func (m *Manager) resumeProject(ctx context.Context, s Status) error {
	unlock, err := m.lock(ctx, s.File)
	if err != nil {
		return err
	}
	defer unlock()
	c := &change{engine: m.engine, progress: m.logProgress(s.Name)}
	err = c.forwards(ctx, m.membersOf(s.File), func(c member) error { return c.Resume(ctx) })
	remembered, _ := m.book.get(s.File)
	if !s.StartAtLogin || remembered.Stopped || len(s.Problems) > 0 || s.Unreadable != nil || len(s.Absent) == 0 {
		return err
	}
	return errors.Join(err, m.up(ctx, api.ProjectRequest{File: s.File, Env: remembered.Env, Names: s.Absent}, m.logProgress(s.Name)))
}

// logProgress writes what is done with a project where nobody watches to the log.
func (m *Manager) logProgress(name string) func(api.ProjectProgress) {
	return func(p api.ProjectProgress) {
		if p.Current == 0 {
			m.log.Info("project", "project", name, "container", p.Container, "status", p.Status, "detail", p.Detail)
		}
	}
}

// nameOf is the name of a file's project, as far as it can be told.
func (m *Manager) nameOf(file string) string {
	if project, err := m.files.get(file); err == nil {
		return project.Name
	}
	return skerryfile.NameOf(file)
}

// Open puts a project file on the list, whatever is in it. It starts nothing.
func (m *Manager) Open(file string) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	if _, err := m.load(file); err != nil && !errors.As(err, new(skerryfile.Problems)) {
		return err
	}
	defer m.options.Changed()
	return m.book.change(file, func(*entry) { m.files.drop(file) })
}

// Forget takes a project that is down off the list. One with containers gives
// errdefs.ErrConflict.
func (m *Manager) Forget(file string) error {
	if n := len(m.membersOf(file)); n > 0 {
		return errdefs.ErrConflict.WithMessage("the project of " + file + " has containers: bring it down first")
	}
	defer m.options.Changed()
	m.files.drop(file)
	return m.book.forget(file)
}

// SetStartAtLogin says whether the project comes up with the app, whatever its
// file says.
func (m *Manager) SetStartAtLogin(file string, on bool) error {
	defer m.options.Changed()
	return m.book.change(file, func(e *entry) { e.StartAtLogin = &on })
}

// Start starts the project's containers, each once those that it depends on are
// as it needs them; a project that is down is brought up. Changes of the file are
// not applied to containers that exist.
func (m *Manager) Start(ctx context.Context, file string) error {
	unlock, err := m.lock(ctx, file)
	if err != nil {
		return err
	}
	defer unlock()
	members := m.membersOf(file)
	remembered, _ := m.book.get(file)
	progress := m.logProgress(m.nameOf(file))
	if len(members) == 0 {
		return m.up(ctx, api.ProjectRequest{File: file, Env: remembered.Env}, progress)
	}
	m.remember(file, func(e *entry) { e.Stopped = false })
	c := &change{engine: m.engine, progress: progress}
	return c.forwards(ctx, members, func(m member) error {
		if m.isUp() {
			return nil
		}
		return c.start(ctx, m.name, m)
	})
}

// Stop stops the project's containers, each before those that it depends on. They
// stay down until they are started.
func (m *Manager) Stop(ctx context.Context, file string) error {
	unlock, err := m.lock(ctx, file)
	if err != nil {
		return err
	}
	defer unlock()
	m.remember(file, func(e *entry) { e.Stopped = true })
	return (&change{engine: m.engine, progress: m.logProgress(m.nameOf(file))}).stop(ctx, m.membersOf(file))
}

// Restart stops the project's containers and starts them.
func (m *Manager) Restart(ctx context.Context, file string) error {
	if err := m.Stop(ctx, file); err != nil {
		return err
	}
	return m.Start(ctx, file)
}

// Apply brings the project into step with its file.
func (m *Manager) Apply(ctx context.Context, file string, progress func(api.ProjectProgress)) error {
	remembered, _ := m.book.get(file)
	return m.Up(ctx, api.ProjectRequest{File: file, Env: remembered.Env}, progress)
}
