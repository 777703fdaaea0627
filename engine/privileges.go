package engine

import (
	"fmt"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/engine/seccomp"
	"github.com/skerry-app/skerry/guest/api"
)

// Unconfined is the seccomp profile that filters nothing.
const Unconfined = "unconfined"

// restrict says what a process of a container may do. It tells what is wrong
// with the Spec, too.
func (e *Engine) restrict(s *Spec, p *api.Process, privileged bool) error {
	caps, err := s.capabilities()
	if err != nil {
		return err
	}
	if privileged {
		caps = allCapabilities
	}
	p.Privileged = privileged
	p.Capabilities = &api.Capabilities{Bounding: uint64(caps)}
	p.NoNewPrivileges = s.NoNewPrivileges
	p.Umask = s.Umask
	p.OomScoreAdj = int32(s.OOMScoreAdj)
	if p.Rlimits, err = rlimits(s.Ulimits); err != nil {
		return err
	}
	if !privileged || s.Seccomp != "" {
		p.Seccomp, err = e.filters.compile(s.Seccomp, e.arch(), caps)
	}
	return err
}

// filters keeps compiled seccomp profiles: nearly all processes have the same.
type filters struct {
	mu       sync.Mutex
	compiled map[filterKey][]byte
}

type filterKey struct {
	profile, arch string
	caps          capabilities
}

// maxFilters bounds how many are kept.
const maxFilters = 64

// compile returns the filter for a profile on machines of an architecture.
func (f *filters) compile(profile, arch string, caps capabilities) ([]byte, error) {
	switch profile {
	case Unconfined:
		return nil, nil
	case "":
		profile = seccomp.Default
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key := filterKey{profile, arch, caps}
	if filter, ok := f.compiled[key]; ok {
		return filter, nil
	}
	filter, err := seccomp.Compile(profile, arch, caps.has)
	if err != nil {
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("seccomp profile: %v", err))
	}
	if f.compiled == nil || len(f.compiled) >= maxFilters {
		f.compiled = map[filterKey][]byte{}
	}
	f.compiled[key] = filter
	return filter, nil
}
