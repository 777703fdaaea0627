package format_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skerry-app/skerry/ext4/ext4test"
	"github.com/skerry-app/skerry/ext4/format"
)

// TestHalfMD4 asks debugfs for the same hashes.
func TestHalfMD4(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	ext4test.Mke2fs(t, "-F", image, "1m")
	seed := [16]byte{0x99, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10}
	for _, n := range []int{1, 3, 4, 5, 31, 32, 33, 64, 100, 255} {
		name := strings.Repeat("abcdefghijk", 30)[:n]
		for uuid, s := range map[string][16]byte{
			"00000000-0000-0000-0000-000000000000": {},
			"99234567-89ab-cdef-fedc-ba9876543210": seed,
		} {
			out := ext4test.Debugfs(t, image, "dx_hash -h half_md4 -s "+uuid+" "+name)
			if want := fmt.Sprintf(" is %#x ", format.HalfMD4(name, s)); !strings.Contains(out, want) {
				t.Errorf("hash of %q with seed %s: got %s, debugfs says %s", name, uuid, want, out)
			}
		}
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
