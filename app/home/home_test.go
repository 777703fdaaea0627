package home

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	here, err := filepath.Abs("state")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, goos string
		env        map[string]string
		want       Dir
	}{
		{"variable first", "linux", map[string]string{"SKERRY_HOME": "/s", "XDG_DATA_HOME": "/x", "HOME": "/h"}, "/s"},
		{"relative variable", "linux", map[string]string{"SKERRY_HOME": "state"}, Dir(here)},
		{"xdg", "linux", map[string]string{"XDG_DATA_HOME": "/x", "HOME": "/h"}, "/x/skerry"},
		{"relative xdg is ignored", "linux", map[string]string{"XDG_DATA_HOME": "x", "HOME": "/h"}, "/h/.local/share/skerry"},
		{"linux", "linux", map[string]string{"HOME": "/h"}, "/h/.local/share/skerry"},
		{"macOS", "darwin", map[string]string{"HOME": "/Users/u", "XDG_DATA_HOME": "/x"}, "/Users/u/Library/Application Support/Skerry"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := find(test.goos, func(k string) string { return test.env[k] })
			if err != nil || got != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestFindRefuses(t *testing.T) {
	long := "/" + strings.Repeat("d", 87) // with /run/docker.sock: 104 bytes
	for _, test := range []struct {
		name, goos, dir, want string
	}{
		{"nothing set", "linux", "", "neither SKERRY_HOME nor HOME"},
		{"too long for macOS", "darwin", long, "set SKERRY_HOME to a shorter path"},
		{"too long for Linux", "linux", long + "dddd", "set SKERRY_HOME to a shorter path"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := find(test.goos, func(k string) string {
				if k == Variable {
					return test.dir
				}
				return ""
			})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if _, err := find("linux", func(string) string { return long }); err != nil {
		t.Errorf("a path that fits on Linux is refused: %v", err)
	}
}
