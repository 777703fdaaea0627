// Package skerryfile reads project files, skerry.toml: what is in them, or all
// that is wrong with them at once, each mistake with its place. It starts
// nothing and knows no engine, so that a file can be checked anywhere.
package skerryfile

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Names of the files that belong to a project.
const (
	Name        = "skerry.toml"       // the project
	OverlayName = "skerry.local.toml" // laid over it, for what is only this computer's
	dotenvName  = ".env"              // variables that the environment does not set
)

// Beside are the names of files next to a project's that are read with it.
var Beside = []string{OverlayName, dotenvName}

// Bounds of what is read; a project file is a page of text.
const (
	maxFileSize   = 1 << 20
	maxContainers = 256
)

// Project is what a project file says.
type Project struct {
	Name       string
	File       string       // absolute
	Containers []*Container // by name

	Volumes      []Volume // by name: all that containers use
	StartAtLogin bool
	EnvFiles     []string // that containers have variables from; absolute, and sorted
}

// PullPolicy says when an image is fetched.
type PullPolicy string

// The policies, compose's words.
const (
	PullMissing PullPolicy = "missing"
	PullAlways  PullPolicy = "always"
	PullNever   PullPolicy = "never"
)

// Container is one container of a project. Zero values are the engine's
// defaults.
type Container struct {
	Name       string // in the project
	Image      string
	Platform   string // os/architecture[/variant]
	PullPolicy PullPolicy

	Command    []string // nil: the image's; empty: none
	Entrypoint []string // nil: the image's; empty: none
	// Environment is KEY=value, sorted: env_file's and environment's together.
	Environment []string
	WorkingDir  string
	User        string
	Hostname    string
	TTY         bool
	ReadOnly    bool
	Privileged  bool

	CPUs    float64
	Memory  int64 // bytes
	Disk    int64 // bytes
	ShmSize int64 // bytes

	Mounts  []Mount
	Tmpfs   map[string]string // target: mount options
	Ulimits []Ulimit
	Sysctls map[string]string
	CapAdd  []string
	CapDrop []string
	SSH     bool // the host's SSH agent

	Kernel         string // path of the machine's; empty: the usual one
	Virtualization bool   // the machine can run machines

	Health  *HealthCheck // nil: the image's
	Restart Restart

	Pod        string // that it shares a machine with; empty: none
	Ports      []Port
	Network    string       // none, nat or vmnet; empty: the project's
	DNS        []netip.Addr // empty: the network's
	ExtraHosts []string     // name:address
	WebPort    uint16       // 0: not said
	DependsOn  []Dependency // by name

	StopSignal      string
	StopGracePeriod *time.Duration // nil: not said
	Labels          map[string]string
	Manual          bool

	envFile      []variable
	dependencies []Dependency
}

// Port is a TCP port to publish.
type Port struct {
	HostIP    netip.Addr // zero: this computer only, by IPv4 and IPv6
	HostPort  uint16     // 0: one is picked
	Container uint16

	at *node
}

// Options is what a file is read with.
type Options struct {
	Lookup  Lookup // variables; .env beside the file stands in for those it lacks
	Version string // of this program, for requires; one without a number fits always
}

// Find returns the project file in dir or the nearest directory above it.
func Find(dir string) (string, error) {
	for d := dir; ; d = filepath.Dir(d) {
		file := filepath.Join(d, Name)
		if info, err := os.Stat(file); err == nil && !info.IsDir() {
			return file, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("no %s in %s or any directory above: write one, or name a file with -f", Name, dir)
		}
	}
}

// Load reads a project file, with its overlay and its .env. What is wrong with
// what they say is Problems; other errors are of reading.
func Load(file string, o Options) (*Project, error) {
	src, err := readSource(file)
	if err != nil {
		return nil, fmt.Errorf("read the project file: %w", err)
	}
	dir := filepath.Dir(src.path)
	r := &reader{dir: dir, version: o.Version}
	root, err := parse(src)
	if err != nil {
		return nil, err
	}
	sources := []*source{src}
	if overlay, err := readSource(filepath.Join(dir, OverlayName)); err == nil && filepath.Base(file) == Name {
		sources = append(sources, overlay)
		over, err := parse(overlay)
		if err != nil {
			return nil, err
		}
		r.topLevel(over)
		root = merge(root, over)
		root.at.source = src
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read the project's overlay: %w", err)
	}
	dotenv, err := readSource(filepath.Join(dir, dotenvName))
	if err == nil {
		sources = append(sources, dotenv)
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read the project's variables: %w", err)
	}
	r.lookup = r.variables(o.Lookup, dotenv)

	project := r.project(root)
	project.File = src.path
	for _, s := range r.sources {
		project.EnvFiles = append(project.EnvFiles, s.path)
	}
	slices.Sort(project.EnvFiles)
	project.EnvFiles = slices.Compact(project.EnvFiles)
	if err := r.err(append(sources, r.sources...)); err != nil {
		return nil, err
	}
	return project, nil
}

func readSource(file string) (*source, error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", path)
	}
	if info.Size() > maxFileSize {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that are read", path, info.Size(), maxFileSize)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return &source{path: path, text: string(text)}, nil
}

// variables looks in the environment first, then in .env.
func (r *reader) variables(environment Lookup, dotenv *source) Lookup {
	values := map[string]string{}
	if dotenv != nil {
		for _, v := range parseDotenv(dotenv, &r.report) {
			values[v.name] = v.value
		}
	}
	return func(name string) (string, bool) {
		if environment != nil {
			if value, ok := environment(name); ok {
				return value, true
			}
		}
		value, ok := values[name]
		return value, ok
	}
}

// Order returns the containers so that each comes after those it depends on;
// containers that do not depend on each other stand in the order of their names.
func (p *Project) Order() []*Container {
	byName := make(map[string]*Container, len(p.Containers))
	for _, c := range p.Containers {
		byName[c.Name] = c
	}
	var order []*Container
	placed := map[string]bool{}
	var place func(c *Container)
	place = func(c *Container) {
		if c == nil || placed[c.Name] {
			return
		}
		placed[c.Name] = true
		for _, d := range c.DependsOn {
			place(byName[d.Name])
		}
		order = append(order, c)
	}
	for _, c := range p.Containers {
		place(c)
	}
	return order
}

// NameOf is what the project of a file is called unless the file says otherwise.
func NameOf(file string) string { return nameFromDirectory(filepath.Dir(file)) }

// nameFromDirectory makes a project's name of the directory's.
func nameFromDirectory(dir string) string {
	name := strings.Map(func(c rune) rune {
		switch {
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-':
			return c
		case strings.ContainsRune(" _.+", c):
			return '-'
		}
		return -1
	}, filepath.Base(dir))
	if name = strings.Trim(name, "-"); len(name) > maxLabel {
		name = strings.Trim(name[:maxLabel], "-")
	}
	switch {
	case name == "":
		return "project"
	case slices.Contains(ownNetworks, name):
		return name + "-project"
	}
	return name
}

// maxLabel is the length of a DNS label (RFC 1035, section 2.3.4).
const maxLabel = 63

// isLabel tells DNS labels in lower case.
func isLabel(name string) bool {
	if name == "" || len(name) > maxLabel || name[0] == '-' || name[len(name)-1] == '-' {
		return false
	}
	return !slices.ContainsFunc([]rune(name), func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	})
}
