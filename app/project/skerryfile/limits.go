package skerryfile

import (
	"math"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Ulimit is a limit of each process; -1 stands for none.
type Ulimit struct {
	Name       string
	Soft, Hard int64
}

// Restart says whether a container is started again when it has ended.
type Restart struct {
	Policy  string // "always", "unless-stopped", "on-failure"; empty: no
	Retries int    // of on-failure; 0: no bound
}

var restartPolicies = []string{"no", "always", "unless-stopped", "on-failure"}

func (r *reader) restart(n *node) Restart {
	if value, isBoolean := n.scalar.(bool); isBoolean && !value {
		r.add(n.at, `restart must be "no" in quotes, not the boolean false`)
		return Restart{}
	}
	text, ok := r.text(n)
	if !ok {
		return Restart{}
	}
	name, retries, bounded := strings.Cut(text, ":")
	if !slices.Contains(restartPolicies, name) {
		r.add(n.at, "restart must be %s, not %q%s", r.typ, text, didYouMean(name, restartPolicies))
		return Restart{}
	}
	to := Restart{Policy: name}
	if bounded {
		number, err := strconv.ParseUint(retries, 10, 16)
		if err != nil || number == 0 || name != "on-failure" {
			r.invalid(n, text)
			return Restart{}
		}
		to.Retries = int(number)
	}
	if name == "no" {
		return Restart{}
	}
	return to
}

// limitNames are the limits of setrlimit(2).
var limitNames = strings.Fields("as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack")

// ulimits reads a table of numbers, or of tables with soft and hard.
func (r *reader) ulimits(n *node) []Ulimit {
	if !n.isTable() {
		r.wrong(n)
		return nil
	}
	var all []Ulimit
	for _, name := range n.keys() {
		value := n.table[name]
		if !slices.Contains(limitNames, name) {
			r.add(value.key, "ulimits: %q is no limit%s; there are %s", name, didYouMean(name, limitNames), strings.Join(limitNames, ", "))
			continue
		}
		l := Ulimit{Name: name}
		if value.isTable() {
			for _, side := range value.keys() {
				switch side {
				case "soft":
					l.Soft = r.limit(value.table[side])
				case "hard":
					l.Hard = r.limit(value.table[side])
				default:
					r.add(value.table[side].key, "unknown key %q in ulimits.%s%s", side, name, didYouMean(side, []string{"soft", "hard"}))
				}
			}
			if value.table["soft"] == nil || value.table["hard"] == nil {
				r.add(value.at, "ulimits: %s needs soft and hard, such as { soft = 1024, hard = 4096 }", name)
				continue
			}
		} else {
			l.Soft = r.limit(value)
			l.Hard = l.Soft
		}
		if l.Hard >= 0 && (l.Soft > l.Hard || l.Soft < 0) {
			r.add(value.at, "ulimits: the soft limit of %s, %d, is above its hard limit, %d", name, l.Soft, l.Hard)
		}
		all = append(all, l)
	}
	return all
}

func (r *reader) limit(n *node) int64 {
	value, ok := n.scalar.(int64)
	if !ok || value < -1 {
		r.add(n.at, "ulimits: %s must be a whole number such as 1024, or -1 for no limit, not %s", n.name, n.kind())
	}
	return value
}

// sysctls reads kernel parameters, name = value. Names without quotes are tables
// in TOML, and mean the same.
func (r *reader) sysctls(n *node) map[string]string {
	if !n.isTable() {
		r.wrong(n)
		return nil
	}
	all := map[string]string{}
	r.addSysctls(n, "", all)
	if len(all) == 0 {
		return nil
	}
	return all
}

func (r *reader) addSysctls(n *node, prefix string, all map[string]string) {
	for _, part := range n.keys() {
		value, name := n.table[part], prefix+part
		if value.isTable() {
			r.addSysctls(value, name+".", all)
			continue
		}
		if !sysctlPattern.MatchString(name) {
			r.add(value.key, "sysctls: %q is no kernel parameter; such as \"net.core.somaxconn\"", name)
			continue
		}
		if text, ok := r.scalar(value); ok {
			all[name] = text
		}
	}
}

// sysctlPattern are the names of sysctl(8) with dots.
var sysctlPattern = regexp.MustCompile(`^[a-z0-9_-]+(\.[a-zA-Z0-9_-]+)+$`)

// tmpfs reads lines of a path and mount options.
func (r *reader) tmpfs(n *node) map[string]string {
	lines, elements := r.strings(n)
	if len(lines) == 0 {
		return nil
	}
	all := map[string]string{}
	for i, line := range lines {
		target, options, _ := strings.Cut(line, ":")
		switch _, twice := all[target]; {
		case !path.IsAbs(target) || path.Clean(target) == "/":
			r.add(elements[i].at, `tmpfs: %q must be an absolute path other than /, with or without options, such as "/run:size=64m"`, line)
		case twice:
			r.add(elements[i].at, "tmpfs: %s is there twice", target)
		}
		all[target] = options
	}
	return all
}

func (r *reader) nameServers(n *node) []netip.Addr {
	lines, elements := r.strings(n)
	var all []netip.Addr
	for i, line := range lines {
		address, err := netip.ParseAddr(line)
		if err != nil {
			r.add(elements[i].at, "dns: %q is no address; such as \"1.1.1.1\"", line)
			continue
		}
		all = append(all, address)
	}
	return all
}

// linuxCapabilities are the names of capabilities(7).
var linuxCapabilities = strings.Fields(`ALL AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN
	DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN
	NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE
	SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM`)

func (r *reader) capabilities(n *node) []string {
	names, elements := r.strings(n)
	for i, name := range names {
		if short := strings.TrimPrefix(strings.ToUpper(name), "CAP_"); !slices.Contains(linuxCapabilities, short) {
			r.add(elements[i].at, "%s: %q is no capability%s", r.key, name, didYouMean(short, linuxCapabilities))
		}
	}
	return names
}

func (r *reader) count(n *node) int {
	value, ok := n.scalar.(int64)
	if !ok || value < 0 || value > math.MaxInt32 {
		r.wrong(n)
		return 0
	}
	return int(value)
}
