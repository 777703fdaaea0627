package skerryfile

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoadSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), SettingsName)
	if s, err := LoadSettings(file); err != nil || !cmp.Equal(s, Settings{}, compareAddresses) {
		t.Errorf("no file: %+v, %v", s, err)
	}
	load := func(text string) (Settings, error) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return LoadSettings(file)
	}
	on := true
	want := Settings{CPUs: 1.5, Memory: 1 << 30, Disk: 8 << 30, Subnets: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")},
		Mirrors: map[string][]string{"registry.test": {"mirror.test:5000/hub"}}, Terminal: []string{"foot", "-e"}, StartAtLogin: &on, RosettaCache: true}
	got, err := load(`cpus = 1.5
memory = "1g"
disk = "8g"
subnets = ["10.9.1.0/16"]
registry_mirrors = { "registry.test" = ["mirror.test:5000/hub"] }
terminal = "foot -e"
start_at_login = true
rosetta_cache = true
`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, compareAddresses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	got, err = load("cpus = 2\nmemmory = \"1g\"\ndisk = 5\nsubnets = [\"fd00::/64\"]\nregistry_mirrors = { a = [\"https://b\"] }\nterminal = \"\"\nstart_at_login = \"yes\"\nmemory = \"1m\"\n")
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("%+v, %v", got, err)
	}
	// What is right holds, and what is wrong is as usual.
	if diff := cmp.Diff(Settings{CPUs: 2, Mirrors: map[string][]string{}}, got, compareAddresses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var said []string
	for _, p := range problems {
		said = append(said, p.Message)
	}
	if diff := cmp.Diff([]string{
		`unknown key "memmory" in config.toml; did you mean "memory"?`,
		`disk must be a size in quotes such as "8g", not the integer 5`,
		`subnets: "fd00::/64" must be an IPv4 range from /8 to /24, such as "10.201.0.0/16"`,
		`registry_mirrors: "https://b" must be host[:port][/path], without https://`,
		`terminal must be a command such as "alacritty -e", not ""`,
		`start_at_login must be true or false, not the string "yes"`,
		`memory must be at least "6m", not "1m"`,
	}, said); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

var compareAddresses = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
