//go:build linux

package launch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api/reason"
)

// defaultPath is Docker's.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// completeEnv adds PATH, HOME and TERM where they are absent.
func completeEnv(env []string, home string, terminal bool) []string {
	has := func(key string) bool { _, ok := lookUpEnv(env, key); return ok }
	complete := append([]string(nil), env...)
	if !has("PATH") {
		complete = append(complete, "PATH="+defaultPath)
	}
	if !has("HOME") {
		complete = append(complete, "HOME="+home)
	}
	if terminal && !has("TERM") {
		complete = append(complete, "TERM=xterm")
	}
	return complete
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
		if e := (*Error)(nil); errors.As(err, &e) && e.Reason == reason.NotExecutable && denied == nil {
			denied = err
		}
	}
	if denied != nil {
		return "", denied
	}
	return "", &Error{reason.NotFound, fmt.Errorf("exec: %q: executable file not found in $PATH", name)}
}

// executable tells whether path can be executed at all; the kernel has the
// last word, with the process's own identity.
func executable(name, path string) error {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return &Error{reason.NotFound, fmt.Errorf("exec: %q: stat %s: no such file or directory", name, path)}
	case err != nil:
		return &Error{reason.NotExecutable, fmt.Errorf("exec: %q: %w", name, err)}
	case st.IsDir():
		return &Error{reason.NotExecutable, fmt.Errorf("exec: %q: is a directory: permission denied", name)}
	case st.Mode()&0o111 == 0:
		return &Error{reason.NotExecutable, fmt.Errorf("exec: %q: permission denied", name)}
	}
	return nil
}
