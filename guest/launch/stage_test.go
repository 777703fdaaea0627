//go:build linux

package launch

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestStageOpen(t *testing.T) {
	for name, test := range map[string]struct {
		links     map[string]string // made before, beside the directory "etc" and the file "etc/file"
		path      string
		directory bool
		want      string // what exists afterwards, inside
		err       error
	}{
		"there":                 {nil, "/etc/file", false, "etc/file", nil},
		"root":                  {nil, "/", true, ".", nil},
		"made file":             {nil, "/a/b/c", false, "a/b/c", nil},
		"made directory":        {nil, "a/b/c", true, "a/b/c", nil},
		"dots":                  {nil, "/../../x/../y", true, "y", nil},
		"absolute link":         {map[string]string{"l": "/etc"}, "/l/new", false, "etc/new", nil},
		"link that climbs":      {map[string]string{"l": "../../../../etc"}, "/l/new", false, "etc/new", nil},
		"dangling link":         {map[string]string{"l": "run/made/file"}, "/l", false, "run/made/file", nil},
		"dangling absolute":     {map[string]string{"l": "/run/made/file"}, "/l", false, "run/made/file", nil},
		"dangling that climbs":  {map[string]string{"l": "../../../run/file"}, "/l", false, "run/file", nil},
		"dangling chain":        {map[string]string{"l": "m", "m": "/n", "n": "end"}, "/l", true, "end", nil},
		"dangling on the way":   {map[string]string{"l": "made"}, "/l/file", false, "made/file", nil},
		"loop":                  {map[string]string{"l": "m", "m": "l"}, "/l", false, "", unix.ELOOP},
		"file where it goes on": {nil, "/etc/file/x", false, "", unix.ENOTDIR},
	} {
		t.Run(name, func(t *testing.T) {
			outside := t.TempDir()
			root := filepath.Join(outside, "root")
			if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, "etc/file"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			for l, to := range test.links {
				if err := os.Symlink(to, filepath.Join(root, l)); err != nil {
					t.Fatal(err)
				}
			}
			s, err := openStage(root)
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			fd, err := s.open(test.path, test.directory, maxLinks)
			if !errors.Is(err, test.err) {
				t.Fatalf("got %v, want %v", err, test.err)
			}
			if err == nil {
				defer unix.Close(fd)
				wantSame(t, fd, filepath.Join(root, test.want), test.directory)
			}
			if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
				t.Errorf("outside is %v, %v", entries, err)
			}
		})
	}
}

func wantSame(t *testing.T, fd int, path string, directory bool) {
	t.Helper()
	var got, want unix.Stat_t
	if err := unix.Fstat(fd, &got); err != nil {
		t.Fatal(err)
	}
	if err := unix.Lstat(path, &want); err != nil {
		t.Fatal(err)
	}
	if got.Ino != want.Ino || (want.Mode&unix.S_IFMT == unix.S_IFDIR) != directory {
		t.Errorf("%s was not what was opened", path)
	}
}
