package engine

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/guest/api"
)

// Options that a tmpfs takes: those of its own, with a value, and of mounts.
var (
	tmpfsValues   = []string{"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol", "huge"}
	tmpfsSwitches = []string{"noexec", "nosuid", "nodev", "exec", "suid", "dev", "ro", "rw", "sync", "async", "noatime", "atime",
		"nodiratime", "diratime", "relatime", "norelatime", "strictatime", "nostrictatime"}
	// tmpfsDefaults hold unless the opposite is asked for.
	tmpfsDefaults = []string{"noexec", "nosuid", "nodev"}
)

// tmpfsMounts are the mounts of the file systems in memory that were asked for.
func (s *Spec) tmpfsMounts() ([]*api.Mount, error) {
	var mounts []*api.Mount
	for _, target := range slices.Sorted(maps.Keys(s.Tmpfs)) {
		if !path.IsAbs(target) || path.Clean(target) == "/" {
			return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("tmpfs mount %q: use an absolute path other than /", target))
		}
		options, err := tmpfsOptions(s.Tmpfs[target])
		if err != nil {
			return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("tmpfs mount %s: %v", target, err))
		}
		mounts = append(mounts, &api.Mount{Type: "tmpfs", Source: "tmpfs", Target: target, Options: options})
	}
	return mounts, nil
}

// tmpfsOptions puts what was asked for over the defaults.
func tmpfsOptions(text string) ([]string, error) {
	options := slices.Clone(tmpfsDefaults)
	for o := range strings.SplitSeq(text, ",") {
		if o == "" {
			continue
		}
		key, value, valued := strings.Cut(o, "=")
		if valued && (!slices.Contains(tmpfsValues, key) || value == "") || !valued && !slices.Contains(tmpfsSwitches, o) {
			return nil, fmt.Errorf("invalid option %q", o)
		}
		opposite := "no" + o
		if rest, no := strings.CutPrefix(o, "no"); no {
			opposite = rest
		}
		options = slices.DeleteFunc(options, func(have string) bool { return have == opposite || have == o })
		if o != "atime" && o != "diratime" && o != "async" && o != "norelatime" && o != "nostrictatime" { // the kernel's own defaults
			options = append(options, o)
		}
	}
	return options, nil
}
