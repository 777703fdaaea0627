//go:build linux

package kvm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckNested(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct{ value, says string }{
		"intel":   {"Y\n", ""},
		"amd":     {"1\n", ""},
		"off":     {"N\n", "nested=1"},
		"off amd": {"0\n", "nested=1"},
		"absent":  {"", "does not say"},
	} {
		path := filepath.Join(dir, name)
		if test.value != "" {
			if err := os.WriteFile(path, []byte(test.value), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := checkNested(filepath.Join(dir, "no such processor"), path)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
	}
}
