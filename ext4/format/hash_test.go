package format_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skerry-app/skerry/ext4/ext4test"
	"github.com/skerry-app/skerry/ext4/format"
)

// TestNameHash asks debugfs for the same hashes.
func TestNameHash(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	ext4test.Mke2fs(t, "-F", image, "1m")
	seed := [16]byte{0x99, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10}
	versions := map[string]uint8{"legacy": format.HashLegacy, "half_md4": format.HashHalfMD4, "tea": format.HashTEA}
	for _, n := range []int{1, 3, 4, 5, 15, 16, 17, 31, 32, 33, 64, 100, 255} {
		name := strings.Repeat("abcdefghijk\xfc\x80", 30)[:n]
		for uuid, s := range map[string][16]byte{
			"00000000-0000-0000-0000-000000000000": {},
			"99234567-89ab-cdef-fedc-ba9876543210": seed,
		} {
			for version, number := range versions {
				out := ext4test.Debugfs(t, image, "dx_hash -h "+version+" -s "+uuid+" "+name)
				got, ok := format.NameHash(number, true, name, s)
				if want := fmt.Sprintf(" is %#x ", got); !ok || !strings.Contains(out, want) {
					t.Errorf("%s of %q with seed %s: got %s, debugfs says %s", version, name, uuid, want, out)
				}
				// Without large bytes it is the same, which is all that debugfs can say.
				plain := strings.Map(func(r rune) rune { return r & 0x7F }, name)
				signed, _ := format.NameHash(number, true, plain, s)
				if unsigned, _ := format.NameHash(number, false, plain, s); signed != unsigned {
					t.Errorf("%s of %q with seed %s: signed %#x, unsigned %#x", version, plain, uuid, signed, unsigned)
				}
			}
			if half, _ := format.NameHash(format.HashHalfMD4, false, name, s); half != format.HalfMD4(name, s) {
				t.Errorf("HalfMD4 of %q is another one", name)
			}
		}
	}
	if _, ok := format.NameHash(6, false, "name", seed); ok {
		t.Error("SipHash is known")
	}
}

// TestHasSuper compares with the groups in the kernel's documentation.
func TestHasSuper(t *testing.T) {
	want := map[uint32]bool{0: true, 1: true, 3: true, 5: true, 7: true, 9: true, 25: true, 27: true, 49: true, 81: true, 125: true, 243: true, 343: true, 625: true, 729: true}
	for g := range uint32(1000) {
		if format.HasSuper(g) != want[g] {
			t.Errorf("group %d: got %v", g, format.HasSuper(g))
		}
	}
}
