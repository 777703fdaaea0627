package skerryfile

import (
	"errors"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/go-units"
	"github.com/google/shlex"

	"github.com/skerry-app/skerry/app/label"
)

// What a container's machine needs and can have; the engine checks once more,
// against the computer it is on.
const (
	MinMemory = 6 << 20
	MinDisk   = 64 << 20
	minCPUs   = 0.01
)

func (r *reader) projectName(n *node) string {
	name, ok := r.text(n)
	if ok && slices.Contains(ownNetworks, name) {
		r.add(n.at, "name %q is that of a network, and a project has a network of its name: choose another", name)
		return name
	}
	if ok && !isLabel(name) {
		r.add(n.at, "name must be lower-case letters, digits and '-' (at most %d), such as %q, not %q", maxLabel, nameFromDirectory(name), name)
	}
	return name
}

var versionPattern = regexp.MustCompile(`^v?(\d+(?:\.\d+){0,2})`)

// requires checks >=x.y.z against this program's version.
func (r *reader) requires(n *node) {
	text, ok := r.text(n)
	if !ok {
		return
	}
	wanted, found := strings.CutPrefix(text, ">=")
	wanted = strings.TrimSpace(wanted)
	if match := versionPattern.FindString(wanted); !found || match == "" || match != wanted {
		r.invalid(n, text)
		return
	}
	have := versionPattern.FindStringSubmatch(r.version)
	if have != nil && compareVersions(have[1], strings.TrimPrefix(wanted, "v")) < 0 {
		r.add(n.at, "this file needs Skerry %s or newer, and this is %s; update Skerry", wanted, r.version)
	}
}

func compareVersions(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(x), len(y)) {
		if d := versionPart(x, i) - versionPart(y, i); d != 0 {
			return d
		}
	}
	return 0
}

func versionPart(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	n, err := strconv.Atoi(parts[i])
	if err != nil {
		return math.MaxInt32 // more digits than any version has
	}
	return n
}

func (r *reader) image(n *node) string {
	image, ok := r.text(n)
	if !ok {
		return ""
	}
	if _, err := reference.ParseAnyReference(image); err != nil {
		r.add(n.at, "image %q is no image name (%v)", image, strings.TrimPrefix(err.Error(), "invalid reference format: "))
	}
	return image
}

func (r *reader) platform(n *node) string {
	text, ok := r.text(n)
	if parts := strings.Split(text, "/"); ok && (len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "")) {
		r.invalid(n, text)
	}
	return text
}

// words reads a command: a list as it is, a string split as a shell would.
func (r *reader) words(n *node) []string {
	if n.isArray {
		words, _ := r.strings(n)
		return words
	}
	text, ok := r.text(n)
	if !ok {
		return nil
	}
	words, err := shlex.Split(text)
	if err != nil {
		r.add(n.at, "%s: a quote has no end (%v)", r.key, err)
		return nil
	}
	if words == nil {
		words = []string{}
	}
	return words
}

// envFiles reads a file, a list of files, or tables of path and required.
func (r *reader) envFiles(n *node) []variable {
	files := []*node{n}
	if n.isArray {
		files = n.elements
	}
	var all []variable
	for _, file := range files {
		required := true
		if file.isTable() {
			file, required = r.envFileTable(file)
		}
		if file == nil {
			continue
		}
		if name, ok := r.text(file); ok {
			all = append(all, r.envFile(file, name, required)...)
		}
	}
	return all
}

func (r *reader) envFileTable(n *node) (file *node, required bool) {
	required = true
	for _, name := range n.keys() {
		switch value := n.table[name]; name {
		case "path":
			file = value
		case "required":
			required = r.boolean(value)
		default:
			r.add(value.key, "unknown key %q in env_file%s", name, didYouMean(name, []string{"path", "required"}))
		}
	}
	if file == nil {
		r.add(n.at, `env_file needs a path, such as { path = ".env.web", required = false }`)
	}
	return file, required
}

// file makes a file's path absolute: it is relative to the project file.
func (r *reader) file(name string) (string, error) {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		user, err := os.UserHomeDir()
		return filepath.Join(user, rest), err
	}
	if filepath.IsAbs(name) {
		return filepath.Clean(name), nil
	}
	return filepath.Join(r.dir, name), nil
}

func (r *reader) kernel(n *node) string {
	name, ok := r.text(n)
	if !ok {
		return ""
	}
	file, err := r.file(name)
	if err == nil {
		_, err = os.Stat(file)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		r.add(n.at, "kernel %q does not exist", name)
	case err != nil:
		r.add(n.at, "kernel %q: %v", name, err)
	}
	return file
}

func (r *reader) envFile(n *node, name string, required bool) []variable {
	file, err := r.file(name)
	if err != nil {
		r.add(n.at, "env_file %q: %v", name, err)
		return nil
	}
	src, err := readSource(file)
	switch {
	case errors.Is(err, os.ErrNotExist) && !required:
		return nil
	case errors.Is(err, os.ErrNotExist):
		r.add(n.at, "env_file %q does not exist; make it, or write { path = %q, required = false }", name, name)
		return nil
	case err != nil:
		r.add(n.at, "env_file %q: %v", name, err)
		return nil
	}
	r.sources = append(r.sources, src)
	return parseDotenv(src, &r.report)
}

func (r *reader) absolutePath(n *node) string {
	text, ok := r.text(n)
	if ok && !strings.HasPrefix(text, "/") {
		r.invalid(n, text)
	}
	return text
}

func (r *reader) user(n *node) string {
	if id, ok := n.scalar.(int64); ok && id >= 0 {
		return strconv.FormatInt(id, 10)
	}
	text, _ := r.text(n)
	return text
}

func (r *reader) hostname(n *node) string {
	text, ok := r.text(n)
	for _, label := range strings.Split(text, ".") {
		if ok && !isLabel(strings.ToLower(label)) {
			r.invalid(n, text)
			break
		}
	}
	return text
}

func (r *reader) cpus(n *node) float64 {
	var value float64
	switch v := n.scalar.(type) {
	case int64:
		value = float64(v)
	case float64:
		value = v
	default:
		r.wrong(n)
		return 0
	}
	if !(value >= minCPUs) || math.IsInf(value, 0) {
		r.add(n.at, "cpus must be at least %g, not %g", minCPUs, value)
		return 0
	}
	return value
}

// size reads bytes with a unit, at least the least.
func (r *reader) size(n *node, least int64) int64 {
	text, ok := r.text(n)
	if !ok {
		return 0
	}
	size, err := units.RAMInBytes(text)
	if err != nil || text == "" || !strings.ContainsAny(strings.ToLower(text[len(text)-1:]), "bkmgtp") {
		r.invalid(n, text)
		return 0
	}
	if size < least {
		r.add(n.at, "%s must be at least %q, not %q", r.key, sizeText(least), text)
		return 0
	}
	return size
}

func sizeText(size int64) string {
	if size < 1<<20 {
		return strconv.FormatInt(size>>10, 10) + "k"
	}
	return strconv.FormatInt(size>>20, 10) + "m"
}

// network is one that is not the project's; empty: the project's.
func (r *reader) network(n *node) string {
	switch text, ok := r.text(n); {
	case !ok, text == "project":
	case slices.Contains(ownNetworks, text):
		return text
	case text == "host":
		r.add(n.at, `network "host" cannot be: every container has a machine and an address of its own; publish ports instead`)
	default:
		r.invalid(n, text)
	}
	return ""
}

// ownNetworks are those that no project has: nobody is found by name there.
var ownNetworks = []string{"none", "nat", "vmnet"}

// hostGateway stands for the host's address, as docker has it.
const hostGateway = "host-gateway"

func (r *reader) hosts(n *node) []string {
	if !n.isTable() {
		r.notTable(n, ":")
		return nil
	}
	var lines []string
	for _, name := range n.keys() {
		value := n.table[name]
		text, ok := value.scalar.(string)
		if !ok {
			r.add(value.at, "extra_hosts: %s must be an address in quotes, not %s", name, value.kind())
			continue
		}
		if text, ok = r.expanded(value, text); !ok {
			continue
		}
		if _, err := netip.ParseAddr(text); err != nil && text != hostGateway {
			r.add(value.at, "extra_hosts: %q must be an address such as \"10.0.0.5\", or %q, not %q", name, hostGateway, text)
			continue
		}
		lines = append(lines, name+":"+text)
	}
	return lines
}

func (r *reader) port(n *node) uint16 {
	value, ok := n.scalar.(int64)
	if !ok {
		r.wrong(n)
		return 0
	}
	if value < 1 || value > math.MaxUint16 {
		r.add(n.at, "%s must be from 1 to %d, not %d", r.key, math.MaxUint16, value)
		return 0
	}
	return uint16(value)
}

func (r *reader) labels(n *node) map[string]string {
	lines := r.scalars(n, "=")
	if len(lines) == 0 {
		return nil
	}
	labels := make(map[string]string, len(lines))
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		if strings.HasPrefix(name, label.Prefix) {
			r.add(n.table[name].key, "label %q: names that begin with %q are Skerry's own", name, label.Prefix)
			continue
		}
		labels[name] = value
	}
	return labels
}

// linuxSignals are the names of signal(7); a container's are Linux's on every
// host.
var linuxSignals = strings.Fields("HUP INT QUIT ILL TRAP ABRT IOT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO POLL PWR SYS")

const maxSignal = 64

func signalNames() []string {
	full := make([]string, len(linuxSignals))
	for i, name := range linuxSignals {
		full[i] = "SIG" + name
	}
	return full
}

var realTimeSignal = regexp.MustCompile(`^RT(MIN(\+([1-9]|1[0-5]))?|MAX(-([1-9]|1[0-4]))?)$`)

func (r *reader) signal(n *node) string {
	text, ok := r.text(n)
	if !ok {
		return ""
	}
	name := strings.TrimPrefix(strings.ToUpper(text), "SIG")
	if number, err := strconv.Atoi(text); err == nil {
		if number < 1 || number > maxSignal {
			r.add(n.at, "stop_signal must be from 1 to %d, or a name such as \"SIGINT\", not %q", maxSignal, text)
		}
		return text
	}
	if !slices.Contains(linuxSignals, name) && !realTimeSignal.MatchString(name) {
		r.add(n.at, "stop_signal must be %s, not %q%s", r.typ, text, didYouMean("SIG"+name, signalNames()))
	}
	return text
}

func (r *reader) duration(n *node) *time.Duration {
	text, ok := r.text(n)
	if !ok {
		return nil
	}
	value, err := time.ParseDuration(text)
	if err != nil || value < 0 {
		r.invalid(n, text)
		return nil
	}
	return &value
}
