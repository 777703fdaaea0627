package tests

import (
	"os/exec"
	"strings"
	"testing"
)

// The parts and what they may know of each other: a package below the path of
// the first may not depend, directly or not, on one below any of the others, but for
// those below the last.
var mayNotImport = []struct {
	who  string
	what []string
	but  string
}{
	{"ext4", []string{"app", "engine", "registry", "guest", "kernel"}, ""},
	{"registry", []string{"app", "engine", "ext4", "guest", "kernel"}, ""},
	{"guest", []string{"app", "engine", "registry"}, ""},
	{"engine", []string{"app"}, ""},
	{"engine/vm", []string{"registry", "engine/agent", "engine/network", "engine/image"}, ""},
	{"engine/network", []string{"registry", "ext4", "guest", "engine/vm", "engine/agent"}, ""},
	{"engine/nbd", []string{"engine", "registry", "ext4", "guest"}, "engine/nbd"},
	{"app/cli", []string{"engine", "registry", "ext4", "guest", "app/api"}, "engine/nbd"}, // which knows addresses, and nothing of the engine
	{"app/home", []string{"engine", "registry", "ext4", "guest"}, ""},
}

// Packages of others that one place alone may import.
var onlyImporter = map[string]string{
	"github.com/Code-Hex/vz/v3":  "engine/vm/vz",
	"fyne.io/systray":            "app/menu",
	"github.com/BurntSushi/toml": "app/project",
	"github.com/spf13/cobra":     "app/cli",
}

const module = "github.com/skerry-app/skerry/"

// TestImports keeps the house in order, for every platform it is built for.
func TestImports(t *testing.T) {
	for _, platform := range []string{"linux/amd64", "darwin/arm64"} {
		t.Run(platform, func(t *testing.T) {
			for path, deps := range list(t, platform, "{{.ImportPath}} {{join .Deps \" \"}}") {
				for _, rule := range mayNotImport {
					if !below(path, rule.who) {
						continue
					}
					for _, dep := range deps {
						for _, no := range rule.what {
							if below(dep, no) && (rule.but == "" || !below(dep, rule.but)) {
								t.Errorf("%s depends on %s, but %s may not know %s", path, dep, rule.who, no)
							}
						}
					}
				}
			}
			for path, imports := range list(t, platform, "{{.ImportPath}} {{join .Imports \" \"}}") {
				for _, imp := range imports {
					if who, ok := onlyImporter[imp]; ok && !below(path, who) {
						t.Errorf("%s imports %s, which only %s may", path, imp, who)
					}
					if imp == "C" {
						t.Errorf("%s uses cgo", path)
					}
				}
			}
		})
	}
}

func below(path, part string) bool {
	return path == module+part || strings.HasPrefix(path, module+part+"/")
}

// list runs go list over the module as it is built for a platform and returns
// the words of each line by its first.
func list(t *testing.T, platform, format string) map[string][]string {
	t.Helper()
	goos, goarch, _ := strings.Cut(platform, "/")
	cmd := exec.Command("go", "list", "-e", "-f", format, "./...")
	cmd.Dir = ".."
	cmd.Env = append(cmd.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		lines[words[0]] = words[1:]
	}
	if len(lines) < 10 {
		t.Fatalf("go list names %d packages only", len(lines))
	}
	return lines
}
