//go:build linux

package launch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDatabase reads files that an image could have instead of the usual ones.
func TestDatabase(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("plain"), []byte("root:x:0:0::/:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	huge, err := os.Create(path("huge"))
	if err != nil {
		t.Fatal(err)
	}
	defer huge.Close()
	if err := huge.Truncate(maxDatabase + 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(path("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", path("loop")); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ want, err string }{
		"plain":   {"root:x:0:0::/:\n", ""},
		"missing": {"", ""},
		"huge":    {"", "larger"},
		"fifo":    {"", "not a file"},
		".":       {"", "not a file"},
		"loop":    {"", "too many"},
	} {
		got, err := database(path(name))
		if string(got) != test.want || (err == nil) != (test.err == "") || (err != nil && !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%s: got %q, %v, want %q, %q", name, got, err, test.want, test.err)
		}
	}
}
