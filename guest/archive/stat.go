//go:build linux

package archive

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// maxTarget is the length of a symbolic link's target.
const maxTarget = unix.PathMax

// Stat looks at what is at a path. The last element is not followed if it is a
// symbolic link, unless a slash or dot follows it; target is then where it
// leads.
func (r Root) Stat(name string) (st unix.Stat_t, target string, err error) {
	fd, err := r.Open(name, nofollow(name))
	if err != nil {
		return st, "", err
	}
	defer unix.Close(fd)
	if err := unix.Fstat(fd, &st); err != nil {
		return st, "", err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return st, "", nil
	}
	if target, err = readLink(fd); err == nil && !path.IsAbs(target) {
		target = path.Join(path.Dir(path.Clean("/"+name)), target)
	}
	return st, target, err
}

// nofollow is O_NOFOLLOW for a path that names a link itself.
func nofollow(name string) int {
	if strings.HasSuffix(name, "/") || strings.HasSuffix(name, "/.") || name == "." {
		return 0
	}
	return unix.O_NOFOLLOW
}

func readLink(fd int) (string, error) {
	var target [maxTarget]byte
	n, err := unix.Readlinkat(fd, "", target[:])
	return string(target[:max(n, 0)]), err
}
