package vz

import (
	"strings"
	"testing"
)

func TestCheckRosetta(t *testing.T) {
	for _, test := range []struct {
		availability availability
		macOS        int
		says         string // empty: no error
	}{
		{rosettaInstalled, 27, ""},
		{rosettaInstalled, 26, ""},
		{rosettaInstalled, 16, ""}, // 26 as told to older programs
		{rosettaInstalled, 15, "update to macOS 26"},
		{rosettaInstalled, 13, "Rosetta of macOS 13 cannot run"},
		{rosettaNotInstalled, 14, "update to macOS 26"}, // installing it would not help
		{rosettaNotInstalled, 26, installRosetta},
		{rosettaNotSupported, 26, "image for arm64"},
		{availability(7), 26, "image for arm64"},
	} {
		err := checkRosetta(test.availability, test.macOS)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("availability %d on macOS %d: %v, want %q", test.availability, test.macOS, err, test.says)
		}
	}
}

func TestMajorVersion(t *testing.T) {
	for version, want := range map[string]int{"15.7.3": 15, "26": 26, "13.0": 13} {
		if got, err := majorVersion(version); err != nil || got != want {
			t.Errorf("%s: %d, %v", version, got, err)
		}
	}
	for _, version := range []string{"", "x.1"} {
		if got, err := majorVersion(version); err == nil {
			t.Errorf("%q: %d", version, got)
		}
	}
}
