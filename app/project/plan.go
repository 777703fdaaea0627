package project

import (
	"fmt"
	"slices"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/app/label"
	"github.com/skerry-app/skerry/app/project/skerryfile"
	"github.com/skerry-app/skerry/engine"
)

// plan is what is to be done to bring a project up.
type plan struct {
	volumes []engine.Volume // that must be there
	steps   []step
	gone    []member // not in the file any more
}

// step brings one container up.
type step struct {
	name     string
	needs    []need
	pull     skerryfile.PullPolicy
	spec     engine.Spec
	existing *member // nil: there is none
}

// plan compares a file with what there is. What an image's name stands for is
// looked at later, once it has been pulled.
func (m *Manager) plan(file *skerryfile.Project, names []string) (plan, error) {
	chosen, err := selection(file, names)
	if err != nil {
		return plan{}, err
	}
	members := m.members(func(l map[string]string) bool { return l[label.Project] == file.Name || l[label.File] == file.File })
	for _, c := range members {
		if other := c.snapshot.Spec.Labels[label.File]; other != file.File {
			return plan{}, errdefs.ErrConflict.WithMessage(fmt.Sprintf(
				"project name %q is taken by %s: give one of the two another name, or bring the other down", file.Name, other))
		}
	}
	p := plan{volumes: volumes(file)}
	for _, c := range file.Order() {
		if !chosen[c.Name] {
			continue
		}
		s := step{name: c.Name, needs: needs(c), pull: c.PullPolicy}
		if s.spec, err = spec(file, c); err != nil {
			return plan{}, err
		}
		i := slices.IndexFunc(members, func(o member) bool { return o.name == c.Name && o.snapshot.Spec.Labels[label.Project] == file.Name })
		if i >= 0 {
			s.existing = &members[i]
		}
		p.steps = append(p.steps, s)
	}
	if len(names) > 0 {
		return p, nil
	}
	for _, c := range members {
		described := slices.ContainsFunc(file.Containers, func(d *skerryfile.Container) bool { return d.Name == c.name })
		if !described || c.snapshot.Spec.Labels[label.Project] != file.Name {
			p.gone = append(p.gone, c)
		}
	}
	return p, nil
}

// volumes are the project's own, as they are made.
func volumes(file *skerryfile.Project) []engine.Volume {
	var all []engine.Volume
	for _, v := range file.Volumes {
		if !v.External {
			all = append(all, engine.Volume{Name: volumeName(file.Name, v), Size: v.Size, NBD: v.NBD, Labels: map[string]string{label.Project: file.Name, label.File: file.File}})
		}
	}
	return all
}

// needs are a container's in the file.
func needs(c *skerryfile.Container) []need {
	var all []need
	for _, d := range c.DependsOn {
		all = append(all, need{d.Name, d.Condition})
	}
	return all
}

// selection is what up is about: the containers named, else all that are not
// manual; and whatever these depend on.
func selection(file *skerryfile.Project, names []string) (map[string]bool, error) {
	byName := map[string]*skerryfile.Container{}
	for _, c := range file.Containers {
		byName[c.Name] = c
	}
	chosen := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		if !chosen[name] {
			chosen[name] = true
			for _, needed := range byName[name].DependsOn {
				add(needed.Name)
			}
		}
	}
	for _, name := range names {
		if byName[name] == nil {
			return nil, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("%s has no container %q", file.File, name))
		}
		add(name)
	}
	for _, c := range file.Containers {
		if len(names) == 0 && !c.Manual {
			add(c.Name)
		}
	}
	return chosen, nil
}
