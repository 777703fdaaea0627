package skerryfile

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/skerry-app/skerry/engine/nbd"
)

// Mount puts a directory or file of the host, or a volume, in a place of a
// container.
type Mount struct {
	Bind     bool   // Source is a path of the host; else a volume's name in the file
	Source   string // of a bind: absolute
	Target   string // absolute
	ReadOnly bool

	at *node
}

// Volume is a disk that outlives the project's containers.
type Volume struct {
	Name     string // in the project
	Size     int64  // bytes; 0: the engine's default
	NBD      string // URL of the network block device that it is; empty: a disk image of the host
	External bool   // it is not the project's own, and its name is the whole one
}

// minVolume is the least that holds a file system and its journal.
const minVolume = 256 << 20

var volumeKeys = []key[Volume]{
	{name: "size", typ: `a size in quotes such as "20g"`, def: `"64g"`, shape: aSize,
		doc:  "What the volume may grow to; a volume that exists keeps its size.",
		read: func(r *reader, n *node, v *Volume) { v.Size = r.size(n, minVolume) }},
	{name: "url", typ: `a URL such as "nbd://host/export" or "nbd+unix:///export?socket=/run/nbd.sock"`, def: "none", shape: aText,
		doc:  "The volume is this network block device, which must have an ext4 file system; the project's end leaves it as it is.",
		read: func(r *reader, n *node, v *Volume) { v.NBD = r.nbd(n) }},
	{name: "external", typ: "true or false", def: "false", shape: aBoolean,
		doc:  "The volume is not the project's own: its name is taken as it is, and it must exist.",
		read: func(r *reader, n *node, v *Volume) { v.External = r.boolean(n) }},
	{name: "shared", later: "volumes that several machines write to are", doc: "Let several containers write at once."},
}

var mountKeys = []key[Mount]{
	{name: "source", typ: `a path such as "./src", or a volume's name`, def: "required", shape: aText,
		doc:  "What to mount: a path that begins with . or / or ~, else a volume.",
		read: func(r *reader, n *node, m *Mount) { m.Source, _ = r.text(n) }},
	{name: "target", typ: `an absolute path such as "/app"`, def: "required", shape: aText,
		doc:  "Where.",
		read: func(r *reader, n *node, m *Mount) { m.Target = r.absolutePath(n) }},
	{name: "read_only", typ: "true or false", def: "false", shape: aBoolean,
		doc:  "The container cannot write to it.",
		read: func(r *reader, n *node, m *Mount) { m.ReadOnly = r.boolean(n) }},
	{name: "watch", later: "choosing which files are watched is", doc: "Whether changes here are noticed there."},
}

// volumes reads the tables of [volumes.<name>].
func (r *reader) volumes(n *node) []Volume {
	if n.isArray {
		r.add(n.key, "\"volumes\" at the top of the file is a table for each volume, such as [volumes.data]; what a container mounts belongs below [containers.<name>]")
		return nil
	}
	if !n.isTable() {
		r.wrong(n)
		return nil
	}
	var all []Volume
	for _, name := range n.keys() {
		table := n.table[name]
		if !table.isTable() {
			r.add(table.at, "volume %q must be a table, not %s; write [volumes.%s] on a line of its own", name, table.kind(), name)
			continue
		}
		r.volumeName(table, table.key, name)
		v := Volume{Name: name}
		r.table(fmt.Sprintf("[volumes.%s]", name), table, func() { readTable(r, volumeKeys, table, &v) })
		if v.External && v.Size != 0 {
			r.add(table.table["size"].key, "volume %q is external: its size is not the project's to say", name)
		}
		if v.NBD != "" {
			for _, key := range []string{"size", "external"} {
				if other := table.table[key]; other != nil && (key != "external" || v.External) {
					r.add(other.key, "volume %q has a url, beside which %s says nothing", name, key)
				}
			}
		}
		all = append(all, v)
	}
	return all
}

// nbd reads the URL of a network block device.
func (r *reader) nbd(n *node) string {
	text, ok := r.text(n)
	if !ok {
		return ""
	}
	address, err := nbd.Parse(text)
	if err != nil {
		r.add(n.at, "%s: %v", r.key, err)
		return ""
	}
	return address.String()
}

var volumePattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`)

func (r *reader) volumeName(n *node, at position, name string) bool {
	if volumePattern.MatchString(name) {
		return true
	}
	hint := ""
	if strings.ContainsRune(name, '/') {
		hint = fmt.Sprintf("; a path begins with . or / or ~, such as %q", "./"+name)
	}
	r.add(at, "volume name %q must be letters, digits, '_', '.' and '-' (at most 128), and begin with a letter or digit%s", name, hint)
	return false
}

// mounts reads source:target[:ro] lines and tables.
func (r *reader) mounts(n *node) []Mount {
	if !n.isArray {
		r.wrong(n)
		return nil
	}
	var all []Mount
	for _, element := range n.elements {
		m := Mount{at: element}
		ok := false
		if element.isTable() {
			ok = r.mountTable(element, &m)
		} else {
			ok = r.mountLine(element, &m)
		}
		if ok && r.mountSource(element, &m) {
			all = append(all, m)
		}
	}
	for i, m := range all {
		for _, other := range all[:i] {
			if path.Clean(m.Target) == path.Clean(other.Target) {
				r.add(m.at.at, "volumes: %s is the target of two mounts (the other is on %s)", m.Target, other.at.where(m.at))
			}
		}
	}
	return all
}

func (r *reader) mountTable(n *node, m *Mount) bool {
	before := len(r.problems)
	r.table("volumes", n, func() { readTable(r, mountKeys, n, m) })
	for _, name := range []string{"source", "target"} {
		if n.table[name] == nil {
			r.add(n.at, `volumes: a table needs source and target, such as { source = "./src", target = "/app" }`)
			return false
		}
	}
	return len(r.problems) == before
}

func (r *reader) mountLine(n *node, m *Mount) bool {
	line, isText := n.scalar.(string)
	if !isText {
		r.add(n.at, "volumes must be %s; this element is %s", r.typ, n.kind())
		return false
	}
	line, ok := r.expanded(n, line)
	if !ok {
		return false
	}
	parts := strings.Split(line, ":")
	if len(parts) == 3 && (parts[2] == "ro" || parts[2] == "rw") {
		m.ReadOnly = parts[2] == "ro"
		parts = parts[:2]
	}
	if len(parts) != 2 || parts[0] == "" || !strings.HasPrefix(parts[1], "/") {
		r.add(n.at, `volumes: %q must be "source:/target" or "source:/target:ro", such as "./src:/app" or "data:/var/lib/data"`, line)
		return false
	}
	m.Source, m.Target = parts[0], parts[1]
	return true
}

// mountSource tells paths from names, and makes paths absolute.
func (r *reader) mountSource(n *node, m *Mount) bool {
	if path.Clean(m.Target) == "/" {
		r.add(n.at, "volumes: nothing can be mounted over the root of a container")
		return false
	}
	first, _, _ := strings.Cut(m.Source, "/")
	if m.Source == "" || !slices.Contains([]string{"", "~", ".", ".."}, first) {
		return r.volumeName(n, n.at, m.Source)
	}
	written := m.Source
	source, err := r.file(m.Source + "/") // also where that is all of it
	if err != nil {
		r.add(n.at, "volumes: %q: %v", written, err)
		return false
	}
	m.Bind, m.Source = true, source
	if _, err := os.Stat(m.Source); err != nil {
		r.add(n.at, "volumes: %q does not exist; make it first, or name a volume instead of a path", written)
		return false
	}
	return true
}

// checkVolumes looks for volumes that two machines want to write to, which a disk
// cannot have.
func (r *reader) checkVolumes(p *Project) {
	type user struct {
		container *Container
		mount     Mount
	}
	users := map[string][]user{}
	for _, c := range p.Containers {
		for _, m := range c.Mounts {
			if m.Bind {
				continue
			}
			for _, other := range users[m.Source] {
				together := other.container.Pod != "" && other.container.Pod == c.Pod
				inTurn := c.awaits(other.container.Name) || other.container.awaits(c.Name)
				if together || inTurn || other.container == c || m.ReadOnly && other.mount.ReadOnly {
					continue
				}
				r.add(m.at.at, "volume %q is used by %q, too (%s), and one of them writes to it: one machine at a time can; make both read-only with \":ro\", or put the two into a pod",
					m.Source, other.container.Name, other.mount.at.where(m.at))
				break
			}
			users[m.Source] = append(users[m.Source], user{c, m})
		}
	}
	for name := range users {
		if !slices.ContainsFunc(p.Volumes, func(v Volume) bool { return v.Name == name }) {
			p.Volumes = append(p.Volumes, Volume{Name: name})
		}
	}
	slices.SortFunc(p.Volumes, func(a, b Volume) int { return strings.Compare(a.Name, b.Name) })
}

// awaits tells whether the container starts once another has completed.
func (c *Container) awaits(name string) bool {
	return slices.ContainsFunc(c.DependsOn, func(d Dependency) bool { return d.Name == name && d.Condition == ConditionCompleted })
}
