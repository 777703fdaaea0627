//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api/reason"
)

// maxDatabase bounds what is read of the container's /etc/passwd and
// /etc/group, in bytes.
const maxDatabase = 16 << 20

// identity is who a process runs as.
type identity struct {
	uid, gid int
	groups   []int
	home     string
}

// lookUpUser finds a user and group by name or number in the container's own
// files.
func lookUpUser(spec string, extra []string) (identity, error) {
	passwd, group := database("/etc/passwd"), database("/etc/group")
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

// database reads a file that the image controls: anything but a regular file
// counts as empty.
func database(path string) []byte {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(f, maxDatabase))
	if err != nil {
		return nil
	}
	return data
}

// enterDirectory makes the working directory if it is missing.
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

// defaultPath is Docker's.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// completeEnv adds PATH, HOME and TERM where they are absent.
func completeEnv(env []string, home string, terminal bool) []string {
	has := func(key string) bool { _, ok := lookUpEnv(env, key); return ok }
	if !has("PATH") {
		env = append(env, "PATH="+defaultPath)
	}
	if !has("HOME") {
		env = append(env, "HOME="+home)
	}
	if terminal && !has("TERM") {
		env = append(env, "TERM=xterm")
	}
	return env
}

func lookUpEnv(env []string, key string) (string, bool) {
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, key+"="); ok {
			return v, true
		}
	}
	return "", false
}

// lookUpProgram finds the program in the container's PATH, as execvp(3) does.
func lookUpProgram(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, executable(name, name)
	}
	path, _ := lookUpEnv(env, "PATH")
	var denied error
	for _, dir := range filepath.SplitList(path) {
		if dir == "" {
			dir = "."
		}
		candidate := dir + "/" + name
		err := executable(name, candidate)
		if err == nil {
			return candidate, nil
		}
		if f := (*failure)(nil); errors.As(err, &f) && f.reason == reason.NotExecutable && denied == nil {
			denied = err
		}
	}
	if denied != nil {
		return "", denied
	}
	return "", &failure{reason.NotFound, fmt.Errorf("exec: %q: executable file not found in $PATH", name)}
}

// executable tells whether path can be executed at all; the kernel has the
// last word, with the process's own identity.
func executable(name, path string) error {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return &failure{reason.NotFound, fmt.Errorf("exec: %q: stat %s: no such file or directory", name, path)}
	case err != nil:
		return &failure{reason.NotExecutable, fmt.Errorf("exec: %q: %w", name, err)}
	case st.IsDir():
		return &failure{reason.NotExecutable, fmt.Errorf("exec: %q: is a directory: permission denied", name)}
	case st.Mode()&0o111 == 0:
		return &failure{reason.NotExecutable, fmt.Errorf("exec: %q: permission denied", name)}
	}
	return nil
}

// execFailure gives execve(2)'s errors their reasons.
func execFailure(name string, err error) error {
	why := reason.NotExecutable
	switch {
	case errors.Is(err, unix.ENOENT): // the file is there: its interpreter is not
		return &failure{reason.NotFound, fmt.Errorf("exec: %q: its interpreter is missing: no such file or directory", name)}
	case errors.Is(err, unix.ENOEXEC):
		return &failure{why, fmt.Errorf("exec: %q: exec format error: not a program for this machine: permission denied", name)}
	}
	return &failure{why, fmt.Errorf("exec: %q: %w", name, err)}
}
