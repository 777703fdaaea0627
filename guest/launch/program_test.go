//go:build linux

package launch

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api/reason"
)

func TestLookUpProgram(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"one/tool": 0o644, "two/tool": 0o755, "one/plain": 0o644, "one/only": 0o711} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "one/folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	t.Chdir(two)
	for name, test := range map[string]struct{ program, path, want, reason string }{
		"later one that can be executed": {"tool", one + ":" + two, two + "/tool", ""},
		"root's only":                    {"only", two + ":" + one, one + "/only", ""},
		"empty part is here":             {"tool", ":" + one, "./tool", ""},
		"path":                           {two + "/tool", "", two + "/tool", ""},
		"relative path":                  {"./tool", "", "./tool", ""},
		"nowhere":                        {"nonesuch", one + ":" + two, "", reason.NotFound},
		"no PATH":                        {"tool", "", "", reason.NotFound},
		"not executable":                 {"plain", one + ":" + two, "", reason.NotExecutable},
		"directory":                      {"folder", one, "", reason.NotExecutable},
		"missing path":                   {one + "/nonesuch", "", "", reason.NotFound},
		"below a file":                   {one + "/plain/x", "", "", reason.NotFound},
	} {
		got, err := lookUpProgram(test.program, []string{"X=1", "PATH=" + test.path})
		var e *Error
		if test.reason == "" && (err != nil || got != test.want) {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, test.want)
		}
		if test.reason != "" && (!errors.As(err, &e) || e.Reason != test.reason) {
			t.Errorf("%s: got %q, %v, want %s", name, got, err, test.reason)
		}
	}
}

func TestCompleteEnv(t *testing.T) {
	for name, test := range map[string]struct {
		env      []string
		terminal bool
		want     []string
	}{
		"empty":    {nil, false, []string{"PATH=" + defaultPath, "HOME=/root"}},
		"terminal": {nil, true, []string{"PATH=" + defaultPath, "HOME=/root", "TERM=xterm"}},
		"own":      {[]string{"HOME=/x", "PATH=", "TERM=vt100"}, true, []string{"HOME=/x", "PATH=", "TERM=vt100"}},
		"alike":    {[]string{"PATHS=/x", "HOME"}, false, []string{"PATHS=/x", "HOME", "PATH=" + defaultPath, "HOME=/root"}},
	} {
		if got := completeEnv(test.env, "/root", test.terminal); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestExecFailure(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		unix.ENOENT: reason.NotFound, unix.EACCES: reason.NotExecutable, unix.ENOEXEC: reason.NotExecutable,
		unix.ETXTBSY: reason.NotExecutable, unix.E2BIG: "", unix.ENOMEM: "",
	} {
		var e *Error
		if err := execFailure("tool", errno); !errors.As(err, &e) || e.Reason != want {
			t.Errorf("%v: got %v, want %q", errno, err, want)
		}
	}
}
