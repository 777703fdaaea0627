//go:build linux

package launch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unsafe"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"
)

// maxDatabase bounds what is read of the container's /etc/passwd and
// /etc/group, in bytes each.
const maxDatabase = 16 << 20

// identity is who a process runs as.
type identity struct {
	uid, gid int
	groups   []int
	home     string
}

// lookUpUser finds a user and group, "name|uid[:group|gid]", by name or number
// in the container's own files.
func lookUpUser(spec string, extra []string) (identity, error) {
	passwd, err := database("/etc/passwd")
	if err != nil {
		return identity{}, fmt.Errorf("find user %s: %w", spec, err)
	}
	group, err := database("/etc/group")
	if err != nil {
		return identity{}, fmt.Errorf("find user %s: %w", spec, err)
	}
	u, err := user.GetExecUser(spec, &user.ExecUser{Home: "/"}, bytes.NewReader(passwd), bytes.NewReader(group))
	if err != nil {
		return identity{}, fmt.Errorf("unable to find user %s: %w", spec, err)
	}
	// The primary group is one of the supplementary ones too, as with docker:
	// otherwise a setgid program would lose it (CVE-2022-36109).
	id := identity{u.Uid, u.Gid, []int{u.Gid}, u.Home}
	for _, g := range u.Sgids {
		if g != u.Gid {
			id.groups = append(id.groups, g)
		}
	}
	if len(extra) > 0 {
		more, err := user.GetAdditionalGroups(extra, bytes.NewReader(group))
		if err != nil {
			return identity{}, fmt.Errorf("unable to find groups %s: %w", strings.Join(extra, ", "), err)
		}
		id.groups = append(id.groups, more...)
	}
	return id, nil
}

// assume has a process take the identity on, and keep its capabilities for a
// while if it is to have some.
func (id identity) assume(list *calls, keep bool) {
	groups := make([]uint32, 0, len(id.groups)) // never empty: it has the primary one
	for _, g := range id.groups {
		groups = append(groups, uint32(g))
	}
	list.keep = append(list.keep, groups)
	uid, gid := uintptr(id.uid), uintptr(id.gid)
	if keep {
		list.add("keep capabilities", unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1)
	}
	list.add("set groups", unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&groups[0])))
	list.add("set group", unix.SYS_SETRESGID, gid, gid, gid)
	list.add("set user", unix.SYS_SETRESUID, uid, uid, uid)
}

// database reads a file that the image controls. One that is missing is empty.
// Anything but a regular file is refused, without waiting for the other end of
// a pipe.
func database(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s of the container is not a file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxDatabase+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxDatabase {
		return nil, fmt.Errorf("%s of the container is larger than %d bytes", path, maxDatabase)
	}
	return data, nil
}

// enterDirectory makes the working directory, as Docker does, if it is missing.
func enterDirectory(cwd string) error {
	if cwd == "" {
		cwd = "/"
	}
	if err := os.MkdirAll(cwd, 0o755); err != nil {
		return fmt.Errorf("working directory %s: %w", cwd, err)
	}
	if err := unix.Chdir(cwd); err != nil {
		return fmt.Errorf("working directory %s: %w", cwd, err)
	}
	return nil
}
