package skerryfile

import (
	"slices"
	"strings"
)

// dependency is a container that must be started before, with its place.
type dependency struct {
	name string
	at   position
}

// dependencies reads a list of names, or a table of names and conditions.
func (r *reader) dependencies(n *node) []dependency {
	var found []dependency
	if !n.isTable() {
		values, elements := r.strings(n)
		for i, name := range values {
			found = append(found, dependency{name, elements[i].at})
		}
		return found
	}
	for _, name := range n.keys() {
		condition := n.table[name]
		switch text, _ := condition.scalar.(string); text {
		case "started":
			found = append(found, dependency{name, condition.key})
		case "healthy", "completed":
			r.add(condition.at, "depends_on: waiting until %q is %s is not supported yet; use \"started\"", name, text)
		default:
			r.add(condition.at, `depends_on: the condition of %q must be "started", not %s`, name, condition.kind())
		}
	}
	return found
}

// checkDependencies resolves names and refuses cycles.
func (r *reader) checkDependencies(p *Project) {
	var all []string
	for _, c := range p.Containers {
		all = append(all, c.Name)
	}
	for _, c := range p.Containers {
		for _, d := range c.dependencies {
			switch {
			case !slices.Contains(all, d.name):
				r.add(d.at, "depends_on names %q, which is not a container%s", d.name, didYouMean(d.name, all))
			case !slices.Contains(c.DependsOn, d.name):
				c.DependsOn = append(c.DependsOn, d.name)
			}
		}
		slices.Sort(c.DependsOn)
	}
	if cycle := findCycle(p.Containers); cycle != nil {
		first := p.Containers[slices.Index(all, cycle[0])]
		i := slices.IndexFunc(first.dependencies, func(d dependency) bool { return d.name == cycle[1] })
		r.add(first.dependencies[i].at, "containers wait for each other: %s; take one of these dependencies away", strings.Join(cycle, " -> "))
	}
}

// findCycle returns names that depend on each other, the first one repeated at
// the end, or nil.
func findCycle(containers []*Container) []string {
	byName := map[string]*Container{}
	for _, c := range containers {
		byName[c.Name] = c
	}
	done := map[string]bool{}
	var trail []string
	var visit func(name string) []string
	visit = func(name string) []string {
		if i := slices.Index(trail, name); i >= 0 {
			return append(slices.Clone(trail[i:]), name)
		}
		if done[name] || byName[name] == nil {
			return nil
		}
		trail = append(trail, name)
		for _, next := range byName[name].DependsOn {
			if cycle := visit(next); cycle != nil {
				return cycle
			}
		}
		trail = trail[:len(trail)-1]
		done[name] = true
		return nil
	}
	for _, c := range containers {
		if cycle := visit(c.Name); cycle != nil {
			return cycle
		}
	}
	return nil
}
