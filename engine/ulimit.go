package engine

import (
	"fmt"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/guest/api"
)

// Ulimit is a limit of each process; -1 stands for none.
type Ulimit struct {
	Name       string // "nofile"
	Soft, Hard int64
}

// resources are the kernel's numbers (asm-generic/resource.h).
var resources = map[string]uint32{
	"cpu": 0, "fsize": 1, "data": 2, "stack": 3, "core": 4, "rss": 5, "nproc": 6, "nofile": 7, "memlock": 8, "as": 9, "locks": 10,
	"sigpending": 11, "msgqueue": 12, "nice": 13, "rtprio": 14, "rttime": 15,
}

func rlimits(limits []Ulimit) ([]*api.Rlimit, error) {
	var list []*api.Rlimit
	for _, l := range limits {
		number, ok := resources[l.Name]
		switch {
		case !ok:
			return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("ulimit %q is unknown; use one such as nofile, nproc or core", l.Name))
		case l.Hard >= 0 && (l.Soft > l.Hard || l.Soft < 0):
			return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("ulimit %s: its soft limit %d is above its hard limit %d", l.Name, l.Soft, l.Hard))
		}
		list = append(list, &api.Rlimit{Resource: number, Soft: uint64(max(l.Soft, -1)), Hard: uint64(max(l.Hard, -1))})
	}
	return list, nil
}
