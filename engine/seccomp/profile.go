// Package seccomp turns Docker's seccomp profiles into filters for the kernel:
// programs of classic BPF that decide about every system call of a container.
package seccomp

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
)

//go:generate go run ./mknumbers

// Default is Moby's profile: default.json of github.com/moby/profiles/seccomp
// v0.3.0, Copyright The Moby Authors, Apache License 2.0.
//
//go:embed default.json
var Default string

// profile is what a profile says (docs.docker.com/engine/security/seccomp).
type profile struct {
	DefaultAction   string
	DefaultErrnoRet *uint32
	Flags           []string
	ListenerPath    string
	Architectures   []string
	ArchMap         []struct {
		Architecture     string
		SubArchitectures []string
	}
	Syscalls []rule
}

// rule is what happens to some system calls when all conditions hold.
type rule struct {
	Name     string // in old profiles, instead of Names
	Names    []string
	Action   string
	ErrnoRet *uint32
	Args     []condition
	// Which containers it is for. A least version of the kernel is not read:
	// ours is newer than any that is asked for.
	Includes, Excludes struct{ Caps, Arches []string }
}

// condition compares an argument of a system call.
type condition struct {
	Index    uint32
	Value    uint64
	ValueTwo uint64 // of SCMP_CMP_MASKED_EQ, whose mask is Value
	Op       string
}

// holds tells whether the rule is for a container with these capabilities.
func (r *rule) holds(arch string, has func(capability string) bool) bool {
	lacks := func(c string) bool { return !has(c) }
	return !slices.Contains(r.Excludes.Arches, arch) && !slices.ContainsFunc(r.Excludes.Caps, has) &&
		(len(r.Includes.Arches) == 0 || slices.Contains(r.Includes.Arches, arch)) && !slices.ContainsFunc(r.Includes.Caps, lacks)
}

// parse reads a profile and refuses what a filter cannot do.
func parse(text string) (*profile, error) {
	p := &profile{}
	if err := json.Unmarshal([]byte(text), p); err != nil {
		return nil, fmt.Errorf("it is no JSON of a profile: %w", err)
	}
	if p.ListenerPath != "" {
		return nil, fmt.Errorf("a listener for notifications (listenerPath) is not supported")
	}
	for _, f := range p.Flags {
		// The others change nothing: a process that is filtered has one thread,
		// and the kernel does not tie speculation to filters any more.
		if f != "SECCOMP_FILTER_FLAG_TSYNC" && f != "SECCOMP_FILTER_FLAG_SPEC_ALLOW" {
			return nil, fmt.Errorf("the flag %s is not supported", f)
		}
	}
	return p, nil
}

// architectures are the machine's own and, where the profile has them, the one
// that it runs programs of as well.
func (p *profile) architectures(arch string) []architecture {
	known := architectures[arch]
	listed := slices.Clone(p.Architectures)
	for _, m := range p.ArchMap {
		if len(known) > 0 && m.Architecture == known[0].name {
			listed = append(listed, m.SubArchitectures...)
		}
	}
	return slices.DeleteFunc(slices.Clone(known), func(a architecture) bool {
		return a.name != known[0].name && !slices.Contains(listed, a.name)
	})
}

// architecture is one kind of program that a machine runs.
type architecture struct {
	name  string // libseccomp's
	arch  string // Go's
	audit uint32 // AUDIT_ARCH_ of linux/audit.h
}

// architectures by Go's name of the machine's. The kernel has no x32.
var architectures = map[string][]architecture{
	"amd64": {{"SCMP_ARCH_X86_64", "amd64", 0xc000003e}, {"SCMP_ARCH_X86", "386", 0x40000003}},
	"arm64": {{"SCMP_ARCH_AARCH64", "arm64", 0xc00000b7}, {"SCMP_ARCH_ARM", "arm", 0x40000028}},
}
