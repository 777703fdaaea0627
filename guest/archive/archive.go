//go:build linux

// Package archive packs files of a container into a tar archive and unpacks one
// there.
//
// The container is hostile and runs meanwhile. Every path is resolved by the
// kernel as if the container's root were the root of all (openat2(2),
// RESOLVE_IN_ROOT), and what was found is used by its descriptor.
package archive

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is an O_PATH descriptor of a container's root directory.
type Root int

// Open opens a path for reference; flags are O_NOFOLLOW and the like.
func (r Root) Open(name string, flags int) (int, error) {
	relative := strings.TrimLeft(name, "/")
	if relative == "" {
		relative = "."
	}
	fd, err := unix.Openat2(int(r), relative, &unix.OpenHow{Flags: uint64(unix.O_PATH | unix.O_CLOEXEC | flags),
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil {
		return -1, fmt.Errorf("%s: %w", path.Clean("/"+name), err)
	}
	return fd, nil
}

// link is a name of what a descriptor refers to, for calls that take no O_PATH
// descriptor.
func link(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// xattrPrefix is how a PAX record holds an extended attribute (star(1)).
const xattrPrefix = "SCHILY.xattr."
