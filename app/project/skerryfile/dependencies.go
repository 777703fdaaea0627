package skerryfile

import (
	"slices"
	"strings"
)

// Dependency is what must be so of another container of the project before one
// starts.
type Dependency struct {
	Name      string
	Condition Condition

	at position
}

// Condition is what a dependency waits for.
type Condition string

const (
	ConditionDefault   Condition = ""          // healthy if it has a health check, else started
	ConditionStarted   Condition = "started"   // its process runs
	ConditionHealthy   Condition = "healthy"   // its health check succeeds
	ConditionCompleted Condition = "completed" // it has ended, with exit status 0
)

// dependencies reads a list of names, or a table of names and conditions.
func (r *reader) dependencies(n *node) []Dependency {
	var found []Dependency
	if !n.isTable() {
		values, elements := r.strings(n)
		for i, name := range values {
			found = append(found, Dependency{Name: name, at: elements[i].at})
		}
		return found
	}
	for _, name := range n.keys() {
		condition := n.table[name]
		text, _ := condition.scalar.(string)
		switch c := Condition(text); c {
		case ConditionStarted, ConditionHealthy, ConditionCompleted:
			found = append(found, Dependency{name, c, condition.key})
		default:
			r.add(condition.at, `depends_on: the condition of %q must be "started", "healthy" or "completed", not %s`, name, condition.kind())
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
			case !slices.Contains(all, d.Name):
				r.add(d.at, "depends_on names %q, which is not a container%s", d.Name, didYouMean(d.Name, all))
			case !slices.ContainsFunc(c.DependsOn, func(o Dependency) bool { return o.Name == d.Name }):
				c.DependsOn = append(c.DependsOn, d)
			}
		}
		r.checkConditions(c, p.Containers)
		slices.SortFunc(c.DependsOn, func(a, b Dependency) int { return strings.Compare(a.Name, b.Name) })
	}
	if cycle := findCycle(p.Containers); cycle != nil {
		first := p.Containers[slices.Index(all, cycle[0])]
		i := slices.IndexFunc(first.dependencies, func(d Dependency) bool { return d.Name == cycle[1] })
		r.add(first.dependencies[i].at, "containers wait for each other: %s; take one of these dependencies away", strings.Join(cycle, " -> "))
	}
}

// checkConditions refuses to wait for what the file itself rules out.
func (r *reader) checkConditions(c *Container, all []*Container) {
	for _, d := range c.DependsOn {
		i := slices.IndexFunc(all, func(o *Container) bool { return o.Name == d.Name })
		on := all[i]
		switch {
		case d.Condition == ConditionCompleted && (on.Restart.Policy == "always" || on.Restart.Policy == "unless-stopped"):
			r.add(d.at, "depends_on waits until %q has completed, but restart = %q has it start again each time; use \"on-failure\" or \"no\" there", d.Name, on.Restart.Policy)
		case d.Condition == ConditionHealthy && on.Health != nil && slices.Equal(on.Health.Test, []string{"NONE"}):
			r.add(d.at, "depends_on waits until %q is healthy, but its health check is disabled; wait for \"started\"", d.Name)
		}
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
			if cycle := visit(next.Name); cycle != nil {
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
