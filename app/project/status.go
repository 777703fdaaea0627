package project

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/skerry-app/skerry/app/api"
	"github.com/skerry-app/skerry/app/label"
	"github.com/skerry-app/skerry/app/project/skerryfile"
	"github.com/skerry-app/skerry/engine"
)

// Status is a project at one moment.
type Status struct {
	Name, File   string
	Containers   []engine.Snapshot // by name; their labels say what they are called in the project
	Absent       []string          // containers of the file that up would make
	Problems     skerryfile.Problems
	Unreadable   error               // why the file cannot be read at all
	Changes      []api.ProjectChange // what up would do, beside starting what does not run; none while the file has problems
	StartAtLogin bool
}

// Projects returns what is known of all projects, by name.
func (m *Manager) Projects() []Status {
	byFile := map[string][]member{}
	for _, c := range m.members(func(l map[string]string) bool { return l[label.File] != "" }) {
		file := c.snapshot.Spec.Labels[label.File]
		byFile[file] = append(byFile[file], c)
	}
	for _, file := range m.book.files() {
		if _, ok := byFile[file]; !ok {
			byFile[file] = nil
		}
	}
	var all []Status
	for file, members := range byFile {
		if s, ok := m.status(file, members); ok {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b Status) int {
		if d := strings.Compare(a.Name, b.Name); d != 0 {
			return d
		}
		return strings.Compare(a.File, b.File)
	})
	return all
}

// status describes the project of a file; it is none when the file is gone and
// has left nothing.
func (m *Manager) status(file string, members []member) (s Status, ok bool) {
	s.File = file
	for _, c := range members {
		s.Name = c.snapshot.Spec.Labels[label.Project]
		s.Containers = append(s.Containers, c.snapshot)
	}
	remembered, _ := m.book.get(file)
	project, err := m.files.get(file)
	switch {
	case err == nil:
		s.Name, s.StartAtLogin = project.Name, remembered.startsAtLogin(project.StartAtLogin)
		s.Changes, s.Absent, _ = m.changes(project, nil) // up tells why it cannot
	case errors.As(err, &s.Problems):
		s.StartAtLogin = remembered.startsAtLogin(false)
	case errors.Is(err, os.ErrNotExist) && len(members) == 0:
		return s, false
	default:
		s.Unreadable = err
	}
	if s.Name == "" {
		s.Name = skerryfile.NameOf(file)
	}
	return s, true
}

// changes are what up would do, with all containers or those named.
func (m *Manager) changes(project *skerryfile.Project, names []string) (changes []api.ProjectChange, absent []string, err error) {
	p, err := m.plan(project, names)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range p.steps {
		if s.existing == nil {
			absent = append(absent, s.name)
			continue
		}
		if keys := s.changed(m.engine); len(keys) > 0 {
			changes = append(changes, api.ProjectChange{Container: s.name, Action: api.ProjectRestart, Keys: keys})
		} else if _, keys := s.live(); len(keys) > 0 {
			changes = append(changes, api.ProjectChange{Container: s.name, Action: api.ProjectUpdate, Keys: keys})
		}
	}
	if len(absent) < len(p.steps) { // a project that is down has no changes
		for _, name := range absent {
			changes = append(changes, api.ProjectChange{Container: name, Action: api.ProjectCreate})
		}
	}
	for _, c := range p.gone {
		changes = append(changes, api.ProjectChange{Container: c.name, Action: api.ProjectRemove})
	}
	return changes, absent, nil
}

// Plan returns what Up would do with the project, beside starting what does not
// run; the errors are those of Up.
func (m *Manager) Plan(_ context.Context, r api.ProjectRequest) ([]api.ProjectChange, error) {
	project, err := m.loadWith(r.File, r.Env)
	if err != nil {
		return nil, err
	}
	changes, absent, err := m.changes(project, r.Names)
	if err != nil {
		return nil, err
	}
	if len(changes) == 0 {
		for _, name := range absent {
			changes = append(changes, api.ProjectChange{Container: name, Action: api.ProjectCreate})
		}
	}
	return changes, nil
}

// List returns the projects that are known, by name.
func (m *Manager) List(context.Context) ([]api.ProjectStatus, error) {
	list := []api.ProjectStatus{}
	for _, s := range m.Projects() {
		p := api.ProjectStatus{Name: s.Name, File: s.File, Changes: s.Changes, StartAtLogin: s.StartAtLogin, Containers: []api.ProjectContainer{}}
		for _, problem := range s.Problems {
			p.Problems = append(p.Problems, problem.String())
		}
		if s.Unreadable != nil {
			p.Problems = append(p.Problems, s.Unreadable.Error())
		}
		states := map[string]api.ProjectContainer{}
		for _, c := range s.Containers {
			name := c.Spec.Labels[label.Container]
			states[name] = api.ProjectContainer{Name: name, ID: c.ID, Status: string(c.State.Status)}
		}
		for _, name := range s.Absent {
			states[name] = api.ProjectContainer{Name: name, Status: "absent"}
		}
		for _, name := range slices.Sorted(maps.Keys(states)) {
			p.Containers = append(p.Containers, states[name])
		}
		list = append(list, p)
	}
	return list, nil
}
