package skerryfile

import (
	"errors"
	"net/netip"
	"os"

	"github.com/distribution/reference"
	"github.com/google/shlex"
)

// SettingsName is the file with the app's settings, in its state directory.
const SettingsName = "config.toml"

// Settings is what the user wants of the app. Zero values are the usual ones.
type Settings struct {
	// What containers get that ask for nothing else; sizes in bytes.
	CPUs         float64
	Memory, Disk int64

	Subnets      []netip.Prefix // that networks take their addresses from
	Mirrors      map[string][]string
	Terminal     []string // command that runs what follows it in a new terminal
	StartAtLogin *bool    // nil: as it is
	RosettaCache bool     // keep Rosetta's translations
}

var settingsKeys = []key[Settings]{
	{name: "cpus", typ: "a number such as 2 or 0.5", def: "2", shape: aNumber,
		doc:  "CPUs of a container that does not say.",
		read: func(r *reader, n *node, s *Settings) { s.CPUs = r.cpus(n) }},
	{name: "memory", typ: `a size in quotes such as "512m" or "2g"`, def: `"512m"`, shape: aSize,
		doc:  "Memory of a container that does not say.",
		read: func(r *reader, n *node, s *Settings) { s.Memory = r.size(n, MinMemory) }},
	{name: "disk", typ: `a size in quotes such as "8g"`, def: `"16g"`, shape: aSize,
		doc:  "What a container that does not say may write.",
		read: func(r *reader, n *node, s *Settings) { s.Disk = r.size(n, MinDisk) }},
	{name: "subnets", typ: `a list such as ["10.201.0.0/16"]`, def: "chosen", shape: texts,
		doc:  "IPv4 ranges, /8 to /24, that each network takes a /24 of.",
		read: func(r *reader, n *node, s *Settings) { s.Subnets = r.subnets(n) }},
	{name: "terminal", typ: `a command such as "alacritty -e"`, def: "the desktop's", shape: aText,
		doc:  "What Open Terminal and View Logs run their command with, on Linux.",
		read: func(r *reader, n *node, s *Settings) { s.Terminal = r.terminal(n) }},
	{name: "start_at_login", typ: "true or false", def: "as the menu says", shape: aBoolean,
		doc: "Whether the app starts at login; set each time it starts.",
		read: func(r *reader, n *node, s *Settings) {
			if on, ok := n.scalar.(bool); ok {
				s.StartAtLogin = &on
				return
			}
			r.wrong(n)
		}},
	{name: "rosetta_cache", typ: "true or false", def: "false", shape: aBoolean,
		doc:  "On Apple silicon: have Rosetta keep its translations while a container runs. Programs start faster, but some are said to go wrong.",
		read: func(r *reader, n *node, s *Settings) { s.RosettaCache = r.boolean(n) }},
	{name: "registry_mirrors", typ: `a table such as { "registry.example.com" = ["mirror.example.com/hub"] }`, def: "none", shape: tableOf(texts),
		doc:  "Where to look for images before their registry: host[:port][/path].",
		read: func(r *reader, n *node, s *Settings) { s.Mirrors = r.mirrors(n) }},
}

// LoadSettings reads the app's settings. A file that does not exist has none.
// What is wrong with what it says is Problems; the rest of it holds.
func LoadSettings(file string) (Settings, error) {
	var s Settings
	src, err := readSource(file)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	root, err := parse(src)
	if err != nil {
		return s, err
	}
	r := &reader{lookup: os.LookupEnv}
	r.table(SettingsName, root, func() { readTable(r, settingsKeys, root, &s) })
	return s, r.err([]*source{src})
}

func (r *reader) subnets(n *node) []netip.Prefix {
	lines, elements := r.strings(n)
	var all []netip.Prefix
	for i, line := range lines {
		subnet, err := netip.ParsePrefix(line)
		if err != nil || !subnet.Addr().Is4() || subnet.Bits() < 8 || subnet.Bits() > 24 {
			r.add(elements[i].at, "subnets: %q must be an IPv4 range from /8 to /24, such as \"10.201.0.0/16\"", line)
			continue
		}
		all = append(all, subnet.Masked())
	}
	return all
}

func (r *reader) mirrors(n *node) map[string][]string {
	if !n.isTable() {
		r.wrong(n)
		return nil
	}
	all := map[string][]string{}
	for _, registry := range n.keys() {
		lines, elements := r.strings(n.table[registry])
		for i, line := range lines {
			if _, err := reference.ParseNormalizedNamed(line + "/image"); err != nil || line == "" {
				r.add(elements[i].at, "registry_mirrors: %q must be host[:port][/path], without https://", line)
				continue
			}
			all[registry] = append(all[registry], line)
		}
	}
	return all
}

func (r *reader) terminal(n *node) []string {
	text, ok := r.text(n)
	words, err := shlex.Split(text)
	if ok && (err != nil || len(words) == 0) {
		r.invalid(n, text)
		return nil
	}
	return words
}
