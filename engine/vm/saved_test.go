package vm

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func savable(t *testing.T) Config {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"kernel", "disk"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Config{Kernel: filepath.Join(dir, "kernel"), Cmdline: []string{"ro"}, CPUs: 2, Memory: 64 << 20,
		Disks: []Disk{{Path: filepath.Join(dir, "disk"), Serial: "one"}}, NICs: []NIC{{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, MTU: 1500}}}
}

func TestRestores(t *testing.T) {
	c := savable(t)
	was, err := Describe(c, "driver 1")
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"":                               func(*Config) {},
		"CPUs is 3 and was 2":            func(c *Config) { c.CPUs = 3 },
		"memory is 1048576":              func(c *Config) { c.Memory = 1 << 20 },
		"command line":                   func(c *Config) { c.Cmdline = nil },
		"kernel is another":              func(c *Config) { c.Kernel = c.Disks[0].Path },
		"virtualization":                 func(c *Config) { c.Nested = true },
		"disks are [] and were [{one":    func(c *Config) { c.Disks = nil },
		"interfaces are [] and were [{0": func(c *Config) { c.NICs = nil },
	} {
		changed := c
		change(&changed)
		is, err := Describe(changed, "driver 1")
		if err != nil {
			t.Fatal(err)
		}
		if err := is.Restores(was); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	other := was
	other.Driver = "driver 2"
	if err := other.Restores(was); err == nil || !strings.Contains(err.Error(), "driver 2 and was driver 1") {
		t.Errorf("another driver: %v", err)
	}
}

func TestNotSavable(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"directories": func(c *Config) { c.Shares = []Share{{Name: "s"}} },
		"Rosetta":     func(c *Config) { c.Rosetta = true },
		"network":     func(c *Config) { c.Disks = append(c.Disks, Disk{URL: "nbd://host/x", Serial: "x"}) },
	} {
		c := savable(t)
		change(&c)
		if _, err := Describe(c, ""); !errors.Is(err, ErrNotSavable) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestWriteSaved(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "saved")
	s := Saved{Driver: "d", CPUs: 3}
	if err := WriteSaved(dir, s, func(string) error { return errors.New("no space") }); err == nil || !strings.Contains(err.Error(), "no space") {
		t.Errorf("%v", err)
	}
	if left, _ := os.ReadDir(parent); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	write := func(dir string) error { return os.WriteFile(filepath.Join(dir, "state"), []byte("x"), 0o600) }
	if err := WriteSaved(dir, s, write); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadSaved(dir); err != nil || got.Restores(s) != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if err := WriteSaved(dir, s, write); !errors.Is(err, os.ErrExist) {
		t.Errorf("over another: %v", err)
	}
	for name, text := range map[string]string{"empty": "", "garbage": "{"} {
		if err := os.WriteFile(filepath.Join(dir, savedName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadSaved(dir); err == nil || !strings.Contains(err.Error(), savedName) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadSaved(parent); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
}
