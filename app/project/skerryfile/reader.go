package skerryfile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// reader turns nodes into a Project and collects what is wrong on the way.
type reader struct {
	report
	dir     string
	version string
	lookup  Lookup
	sources []*source // read beside the project file: environment files
	key     string    // that is being read,
	typ     string    // and what its value should look like
	within  string    // the table that it is in, where that is not a container's
}

// wrong says what n should have been.
func (r *reader) wrong(n *node) {
	r.add(n.at, "%s must be %s, not %s", r.key, r.typ, n.kind())
}

// project reads the whole document.
func (r *reader) project(root *node) *Project {
	p := &Project{}
	r.topLevel(root)
	readKeys(r, topKeys, root, p)
	if p.Name == "" {
		p.Name = nameFromDirectory(r.dir)
	}
	r.containers(root, p)
	return p
}

// readKeys reads those keys of a table that the schema has.
func readKeys[T any](r *reader, keys []key[T], table *node, to *T) {
	for _, k := range keys {
		if n := table.table[k.name]; n != nil && k.read != nil {
			r.key, r.typ = k.name, k.typ
			k.read(r, n, to)
		}
	}
}

// readTable reads a table below a container's: all keys that it may have.
func readTable[T any](r *reader, keys []key[T], table *node, to *T) {
	for _, name := range table.keys() {
		n := table.table[name]
		if !saidLater(r, keys, n) && !slices.Contains(names(keys), name) {
			r.add(n.key, "unknown key %q in %s%s", name, r.within, didYouMean(name, names(keys)))
		}
	}
	readKeys(r, keys, table, to)
}

// table reads a table below another key, for messages called where.
func (r *reader) table(where string, n *node, read func()) {
	key, typ, within := r.key, r.typ, r.within
	r.within = where
	read()
	r.key, r.typ, r.within = key, typ, within
}

// topLevel looks for keys that do not belong above all tables.
func (r *reader) topLevel(root *node) {
	for _, name := range root.keys() {
		n := root.table[name]
		switch {
		case saidLater(r, topKeys, n):
		case slices.Contains(names(topKeys), name):
		case slices.Contains(names(containerKeys), name):
			r.add(n.key, "%q belongs to a container; put it below [containers.<name>], or below [defaults] for all of them", name)
		case r.absent(n):
		default:
			r.add(n.key, "unknown key %q at the top of the file%s", name, didYouMean(name, names(topKeys)))
		}
	}
	for _, name := range []string{"containers", "defaults"} {
		n := root.table[name]
		if n == nil {
			continue
		}
		if !n.isTable() {
			r.add(n.at, "%s must be a table, not %s; write [%s] on a line of its own", name, n.kind(), map[string]string{"containers": "containers.<name>", "defaults": "defaults"}[name])
			continue
		}
		if name == "defaults" {
			r.containerLevel(n, "[defaults]")
		}
	}
}

// containerLevel looks for keys that do not belong into a container's table.
func (r *reader) containerLevel(table *node, where string) {
	for _, name := range table.keys() {
		n := table.table[name]
		switch {
		case saidLater(r, containerKeys, n):
		case slices.Contains(names(containerKeys), name):
		case slices.Contains(names(topKeys), name):
			r.misplaced(n, where)
		case r.absent(n):
		default:
			r.add(n.key, "unknown key %q in %s%s", name, where, didYouMean(name, names(containerKeys)))
		}
	}
}

// misplaced explains a key of the top that ended up below a header: in TOML
// the last header owns all lines that follow.
func (r *reader) misplaced(n *node, where string) {
	if n.header.source == nil {
		r.add(n.key, "%q is inside %s; move it to the top of the file", n.name, where)
		return
	}
	line, _ := n.header.lineColumn()
	r.add(n.key, "%q is inside %s because it follows that header on line %d; move it to the top of the file", n.name, where, line)
}

// saidLater says that a key of the schema is not supported yet, if it is not.
func saidLater[T any](r *reader, keys []key[T], n *node) bool {
	i := slices.IndexFunc(keys, func(k key[T]) bool { return k.name == n.name })
	if i < 0 || keys[i].read != nil {
		return false
	}
	r.add(n.key, "%q: %s not supported yet", n.name, keys[i].later)
	return true
}

func (r *reader) absent(n *node) bool {
	reason, ok := absentKeys[n.name]
	if ok {
		r.add(n.key, "%q is not needed: %s", n.name, reason)
	}
	return ok
}

// containers reads the containers, each over the defaults.
func (r *reader) containers(root *node, p *Project) {
	all, defaults := root.table["containers"], root.table["defaults"]
	if all == nil && root.table["services"] != nil {
		return // compose's word; topLevel said so
	}
	if all == nil || (all.isTable() && len(all.table) == 0) {
		at := root.at
		if all != nil {
			at = all.key
		}
		r.add(at, "no container: a project needs at least one, such as [containers.web]")
		return
	}
	if !all.isTable() {
		return // said by topLevel
	}
	if len(all.table) > maxContainers {
		r.add(all.key, "%d containers: a project may have %d", len(all.table), maxContainers)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(all.table)) {
		n := all.table[name]
		if !n.isTable() {
			if slices.Contains(names(containerKeys), name) {
				r.add(n.key, "%q belongs to a container; put it below [containers.<name>]", name)
			} else {
				r.add(n.at, "container %q must be a table, not %s; write [containers.%s] on a line of its own", name, n.kind(), name)
			}
			continue
		}
		if !isLabel(name) {
			r.add(n.key, "container name %q must be lower-case letters, digits and '-' (at most %d), because it is a host name; such as %q", name, maxLabel, nameFromDirectory(name))
		}
		r.containerLevel(n, fmt.Sprintf("[containers.%s]", name))
		p.Containers = append(p.Containers, r.container(name, n, defaults))
	}
	r.checkDependencies(p)
	r.checkPorts(p)
	r.checkVolumes(p)
}

func (r *reader) container(name string, n, defaults *node) *Container {
	if defaults != nil && defaults.isTable() {
		n = merge(defaults, n)
	}
	c := &Container{Name: name, Hostname: name, PullPolicy: PullMissing}
	readKeys(r, containerKeys, n, c)
	if n.table["image"] == nil && n.table["build"] == nil {
		r.add(n.key, "container %q has no image; add a line such as image = \"postgres:17\"", name)
	}
	c.Environment = environment(c.envFile, c.Environment)
	if c.Network == "none" && len(c.Ports) > 0 {
		r.add(n.table["ports"].key, "container %q publishes ports and has network = \"none\"; take one of the two away", name)
	}
	return c
}

// environment puts the lists together, the latter over the former, sorted.
func environment(files []variable, own []string) []string {
	values := map[string]string{}
	for _, v := range files {
		values[v.name] = v.value
	}
	for _, line := range own {
		name, value, _ := strings.Cut(line, "=")
		values[name] = value
	}
	if len(values) == 0 {
		return nil
	}
	lines := make([]string, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		lines = append(lines, name+"="+values[name])
	}
	return lines
}

// text is a string with its variables replaced; not ok when it is none.
func (r *reader) text(n *node) (string, bool) {
	text, ok := n.scalar.(string)
	if !ok {
		r.wrong(n)
		return "", false
	}
	return r.expanded(n, text)
}

func (r *reader) expanded(n *node, text string) (string, bool) {
	value, err := interpolate(text, r.lookup)
	if err != nil {
		r.add(n.at, "%v", err)
		return "", false
	}
	if strings.ContainsRune(value, 0) {
		r.add(n.at, "%s must not have a NUL character", r.key)
		return "", false
	}
	return value, true
}

// invalid says that a value of the right type does not do.
func (r *reader) invalid(n *node, value string) {
	r.add(n.at, "%s must be %s, not %q", r.key, r.typ, value)
}

func (r *reader) boolean(n *node) bool {
	value, ok := n.scalar.(bool)
	if !ok {
		r.wrong(n)
	}
	return value
}

func (r *reader) oneOf(n *node, values ...string) string {
	text, ok := r.text(n)
	if ok && !slices.Contains(values, text) {
		r.invalid(n, text)
	}
	return text
}

// strings reads a list of strings.
func (r *reader) strings(n *node) (values []string, elements []*node) {
	if !n.isArray {
		r.wrong(n)
		return nil, nil
	}
	values = []string{}
	for _, element := range n.elements {
		text, isText := element.scalar.(string)
		if !isText {
			r.add(element.at, "%s must be %s; this element is %s", r.key, r.typ, element.kind())
			continue
		}
		if text, ok := r.expanded(element, text); ok {
			values, elements = append(values, text), append(elements, element)
		}
	}
	return values, elements
}

// scalars reads a table of scalars into name=value lines; separator is what a
// list's element would have between them, for people who wrote one.
func (r *reader) scalars(n *node, separator string) []string {
	if !n.isTable() {
		r.notTable(n, separator)
		return nil
	}
	var lines []string
	for _, name := range n.keys() {
		value := n.table[name]
		if name == "" || strings.ContainsAny(name, "=\x00") {
			r.add(value.key, "%s: %q is no name", r.key, name)
			continue
		}
		if text, ok := r.scalar(value); ok {
			lines = append(lines, name+"="+text)
		}
	}
	return lines
}

// notTable shows, for a list, what its first element is as a table.
func (r *reader) notTable(n *node, separator string) {
	if n.isArray && len(n.elements) > 0 {
		if first, ok := n.elements[0].scalar.(string); ok {
			if name, value, ok := strings.Cut(first, separator); ok && name != "" {
				r.add(n.at, "%s must be a table, not a list; write { %s = %q }", r.key, bareOrQuoted(name), value)
				return
			}
		}
	}
	r.wrong(n)
}

func bareOrQuoted(name string) string {
	for _, c := range name {
		if !(c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return strconv.Quote(name)
		}
	}
	return name
}

// scalar is any scalar as text.
func (r *reader) scalar(n *node) (string, bool) {
	switch v := n.scalar.(type) {
	case string:
		return r.expanded(n, v)
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case bool:
		return strconv.FormatBool(v), true
	}
	r.add(n.at, "%s: %s must be a string, number or boolean, not %s", r.key, n.name, n.kind())
	return "", false
}
