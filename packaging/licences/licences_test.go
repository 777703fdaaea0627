package licences

import "testing"

// TestModules finds a licence for each module, as the program is built for each
// platform.
func TestModules(t *testing.T) {
	t.Chdir("../..")
	for _, platform := range [][2]string{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "arm64"}, {"darwin", "amd64"}} {
		modules, err := Modules(platform[0], platform[1], "./app")
		if err != nil {
			t.Errorf("%v: %v", platform, err)
		} else if len(modules) < 20 {
			t.Errorf("%v: only %d modules", platform, len(modules))
		}
	}
}

func TestWithout(t *testing.T) {
	if _, err := read(map[string]Module{"m": {Path: "m", Dir: t.TempDir()}}); err == nil {
		t.Error("a module without a licence is taken")
	}
}
