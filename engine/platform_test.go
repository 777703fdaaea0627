package engine

import (
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
	missing error
}

func (m mac) Rosetta() error { return m.missing }

// linux is a driver that knows nothing of it.
type linux struct{ vm.Driver }

// TestTranslator chooses what runs programs: Rosetta before an emulator of our own.
func TestTranslator(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	own := t.TempDir()
	// A program for arm64, as far as its header goes (elf(5)).
	static := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57)...)
	copy(static[16:], "\x02\x00\xb7\x00\x01")
	if err := os.WriteFile(filepath.Join(own, "qemu-x86_64"), static, 0o755); err != nil {
		t.Fatal(err)
	}
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
