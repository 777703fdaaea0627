//go:build linux

package translator

import (
	"testing"

	"github.com/skerry-app/skerry/guest/api"
)

func TestRule(t *testing.T) {
	got := rule(&api.Translator{Name: "qemu-x", Magic: []byte("\x7fE:"), Mask: []byte{0xff, 0, 0xfe}, Flags: "POCF"}, "/run/x/qemu-x")
	if want := `:qemu-x:M:0:\x7f\x45\x3a:\xff\x00\xfe:/run/x/qemu-x:POCF`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
