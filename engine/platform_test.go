package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skerry-app/skerry/engine/vm"
)

// mac is a driver that has Rosetta, or says why not.
type mac struct {
	vm.Driver
	missing     error
	installable bool
}

func (m mac) Rosetta() error                       { return m.missing }
func (m mac) RosettaInstallable() bool             { return m.installable }
func (m mac) InstallRosetta(context.Context) error { return nil }

// linux is a driver that knows nothing of it.
type linux struct{ vm.Driver }

// emulators is a directory with an emulator for amd64 on arm64, as far as its
// header goes (elf(5)).
func emulators(t *testing.T) string {
	t.Helper()
	own := t.TempDir()
	static := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57)...)
	copy(static[16:], "\x02\x00\xb7\x00\x01")
	if err := os.WriteFile(filepath.Join(own, "qemu-x86_64"), static, 0o755); err != nil {
		t.Fatal(err)
	}
	return own
}

// TestRosettaWanted offers Rosetta where it can be had and somebody has use for it.
func TestRosettaWanted(t *testing.T) {
	missing := errors.New("there is none yet")
	for _, test := range []struct {
		name   string
		driver vm.Driver
		arch   string // of the container
		want   bool
	}{
		{"wanted", mac{missing: missing, installable: true}, "amd64", true},
		{"no use", mac{missing: missing, installable: true}, "arm64", false},
		{"too old a system", mac{missing: missing}, "amd64", false},
		{"there", mac{}, "amd64", false},
		{"Linux", linux{}, "amd64", false},
	} {
		e := &Engine{options: Options{Driver: test.driver, Arch: "arm64", Translators: emulators(t)}}
		c := &Container{engine: e, id: "c"}
		c.rec.Arch = test.arch
		e.containers = map[string]*Container{"c": c}
		if got := e.RosettaWanted(); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// TestTranslator chooses what runs programs: Rosetta before an emulator of our own.
func TestTranslator(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	own := emulators(t)
	tooOld := errors.New("update to macOS 26")
	for _, test := range []struct {
		name         string
		options      Options
		arch         string
		want, better string
		says         string
	}{
		{"its own", Options{Driver: linux{}}, "arm64", "", "", ""},
		{"of an image that does not say", Options{Driver: linux{}}, "", "", "", ""},
		{"Rosetta", Options{Driver: mac{}, Translators: own}, "amd64", "rosetta", "", ""},
		{"an emulator, and why", Options{Driver: mac{missing: tooOld}, Translators: own}, "amd64", "qemu-x86_64", "macOS 26", ""},
		{"an emulator", Options{Driver: linux{}, Translators: own}, "amd64", "qemu-x86_64", "", ""},
		{"nothing", Options{Driver: mac{missing: tooOld}}, "amd64", "", "", "update to macOS 26"},
		{"nothing for it", Options{Driver: mac{}, Translators: own}, "s390x", "", "", "nothing translates"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.options.Arch = "arm64"
			got, err := (&Engine{options: test.options}).translator(test.arch)
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Fatalf("%v, want %q", err, test.says)
			}
			if got == nil {
				if test.want != "" {
					t.Errorf("nothing, want %s", test.want)
				}
				return
			}
			if got.Name != test.want || (got.Better == nil) != (test.better == "") || got.Better != nil && !strings.Contains(got.Better.Error(), test.better) {
				t.Errorf("%s, better %v; want %s, %q", got.Name, got.Better, test.want, test.better)
			}
		})
	}
}
