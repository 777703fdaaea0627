package engine

import (
	"fmt"
	"runtime"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/engine/seccomp"
	"github.com/skerry-app/skerry/guest/api"
)

// Unconfined is the seccomp profile that filters nothing.
const Unconfined = "unconfined"

// restrict says what a process of the container may do. It tells what is wrong
// with the Spec, too.
func (s *Spec) restrict(p *api.Process, privileged bool) error {
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
		p.Seccomp, err = s.filter(caps)
	}
	return err
}

// filter compiles the seccomp profile. Machines are of the host's architecture.
func (s *Spec) filter(caps capabilities) ([]byte, error) {
	profile := s.Seccomp
	switch profile {
	case Unconfined:
		return nil, nil
	case "":
		profile = seccomp.Default
	}
	filter, err := seccomp.Compile(profile, runtime.GOARCH, caps.has)
	if err != nil {
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("seccomp profile: %v", err))
	}
	return filter, nil
}
