package vz

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"howett.net/plist"
)

func TestFailure(t *testing.T) {
	// The framework's own words, with its typographic quotes.
	const unentitled = "Invalid virtual machine configuration. The process doesn’t have the “com.apple.security.virtualization” entitlement."
	for _, test := range []struct {
		failure   failure
		says      string
		transient bool
	}{
		{failure{vzErrorDomain, codeInvalidConfig, unentitled}, "skerry doctor", false},
		{failure{vzErrorDomain, codeInvalidConfig, "The CPU count is too low."}, "The CPU count is too low (VZErrorDomain 2)", false},
		{failure{vzErrorDomain, codeLimitExceeded, "The limit."}, "stop another container", false},
		{failure{vzErrorDomain, codeOutOfDiskSpace, "Full."}, "make room", false},
		{failure{vzErrorDomain, codeInvalidTransition, "Transition."}, "Transition (VZErrorDomain 4)", true},
		{failure{"NSPOSIXErrorDomain", codeInvalidTransition, "Interrupted."}, "Interrupted (NSPOSIXErrorDomain 4)", false},
		{failure{vzErrorDomain, codeNBDNegotiation, "Negotiation."}, "Negotiation (VZErrorDomain 20001): the server of the network block device is not there", false},
		{failure{vzErrorDomain, codeNBDDisconnected, "Disconnected."}, "works again when the server is back", false},
		{failure{vzErrorDomain, 12345, "Something new."}, "Something new (VZErrorDomain 12345)", false},
	} {
		if got := test.failure.Error(); !strings.Contains(got, test.says) {
			t.Errorf("%q does not say %q", got, test.says)
		}
		if got := test.failure.transient(); got != test.transient {
			t.Errorf("%v: transient %v", test.failure, got)
		}
		if got, want := test.failure.unentitled(), test.failure.text == unentitled; got != want {
			t.Errorf("%v: unentitled %v", test.failure, got)
		}
	}
}

// TestSignCommand runs the command with a program in codesign's place that
// keeps what it is given.
func TestSignCommand(t *testing.T) {
	dir := t.TempDir()
	keep := "#!/bin/sh\nfor last; do :; done\nprintf '%s' \"$last\" >\"$OUT/target\"\nwhile [ \"$1\" != --entitlements ]; do shift; done\ncp \"$2\" \"$OUT/entitlements\"\n"
	if err := os.WriteFile(filepath.Join(dir, "codesign"), []byte(keep), 0o755); err != nil {
		t.Fatal(err)
	}
	for executable, want := range map[string]string{
		"/Users/o'neill/My Apps/Skerry.app/Contents/MacOS/skerry": "/Users/o'neill/My Apps/Skerry.app",
		"/tmp/bin/skerry": "/tmp/bin/skerry",
	} {
		cmd := exec.Command("sh", "-c", signCommand(executable))
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "TMPDIR="+dir, "OUT="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		target, err := os.ReadFile(filepath.Join(dir, "target"))
		if err != nil {
			t.Fatal(err)
		}
		if string(target) != want {
			t.Errorf("signs %q, want %q", target, want)
		}
		data, err := os.ReadFile(filepath.Join(dir, "entitlements"))
		if err != nil {
			t.Fatal(err)
		}
		var entitlements map[string]bool
		if _, err := plist.Unmarshal(data, &entitlements); err != nil || len(entitlements) != 1 || !entitlements[entitlement] {
			t.Errorf("entitlements %v, %v", entitlements, err)
		}
	}
}
