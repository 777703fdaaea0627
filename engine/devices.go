package engine

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/guest/api"
)

// Device is a device of the container's machine, which has those of its own
// kernel (/dev/fuse, /dev/net/tun) and none of the host's.
type Device struct {
	Source string // in the machine: a device, or a directory with devices
	Target string // in the container; empty: the same
	Access string // letters of "rwm"; empty: all
}

// deviceRule is a rule of device control groups.
var deviceRule = regexp.MustCompile(`^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$`)

func (s *Spec) devices() ([]*api.Device, error) {
	asked := s.Devices
	if s.Virtualization {
		asked = append(slices.Clip(asked), Device{Source: "/dev/kvm"})
	}
	var list []*api.Device
	for _, d := range asked {
		if d.Target == "" {
			d.Target = d.Source
		}
		if d.Access == "" {
			d.Access = "rwm"
		}
		for _, p := range []string{d.Source, d.Target} {
			if !path.IsAbs(p) || path.Clean(p) == "/" {
				return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("device %q: use an absolute path such as /dev/fuse", p))
			}
		}
		if strings.Trim(d.Access, "rwm") != "" {
			return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("device %s: access %q: use letters of rwm", d.Source, d.Access))
		}
		list = append(list, &api.Device{Source: path.Clean(d.Source), Target: path.Clean(d.Target), Access: d.Access})
	}
	for _, r := range s.DeviceRules {
		if !deviceRule.MatchString(r) {
			return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(`device rule %q: use one such as "c 10:200 rwm"`, r))
		}
	}
	return list, nil
}
