package translate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRosetta compares the pattern with the one that Apple documents for
// binfmt_misc ("Running Intel Binaries in Linux VMs with Rosetta").
func TestRosetta(t *testing.T) {
	r := Rosetta(false)
	if magic := "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00"; string(r.Magic) != magic {
		t.Errorf("magic %x", r.Magic)
	}
	if mask := "\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"; string(r.Mask) != mask {
		t.Errorf("mask %x", r.Mask)
	}
	if c := Rosetta(true).Cache; r.Cache != nil || c == nil || *c != (Cache{Program: "rosettad", Socket: "/run/rosettad/rosetta.sock"}) {
		t.Errorf("cache %+v, without %+v", c, r.Cache)
	}
}

func TestPattern(t *testing.T) {
	for arch, want := range map[string]string{
		"s390x": "\x7fELF\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x16",
		"arm":   "\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00",
	} {
		magic, mask := architectures[arch].pattern()
		if string(magic) != want {
			t.Errorf("%s: magic %x", arch, magic)
		}
		for i, b := range []byte(want) {
			if magic[i]&mask[i] != b&mask[i] {
				t.Errorf("%s: byte %d does not fit", arch, i)
			}
		}
	}
	// A program without a fixed address, ET_DYN, fits as well.
	if magic, mask := architectures["s390x"].pattern(); 3&mask[17] != magic[17]&mask[17] {
		t.Error("s390x: ET_DYN does not fit")
	}
}

// TestQEMU looks for emulators where there is none, a script, and a program for
// this very machine that needs libraries.
func TestQEMU(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if _, err := QEMU("amd64", "arm64", t.TempDir()); err == nil || !strings.Contains(err.Error(), "apt install qemu-user-static") {
		t.Errorf("none: %v", err)
	}
	path := filepath.Join(dir, "qemu-aarch64")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+strings.Repeat("#", 64)), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := QEMU("amd64", "arm64", ""); err == nil || !strings.Contains(err.Error(), "bad magic number") {
		t.Errorf("a script: %v", err)
	}
	if _, err := QEMU("amd64", "vax", dir); err == nil {
		t.Error("a translator for vax was found")
	}
	// A program without libraries, for arm64 by its header: our own goes before
	// what PATH has.
	static := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57)...)
	copy(static[16:], "\x02\x00\xb7\x00\x01") // ET_EXEC, EM_AARCH64, EV_CURRENT
	own := t.TempDir()
	for _, name := range []string{filepath.Join(own, "qemu-x86_64"), filepath.Join(dir, "qemu-x86_64-static")} {
		if err := os.WriteFile(name, static, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for from, want := range map[string]string{own: filepath.Join(own, "qemu-x86_64"), "": filepath.Join(dir, "qemu-x86_64-static"), t.TempDir(): filepath.Join(dir, "qemu-x86_64-static")} {
		if got, err := QEMU("arm64", "amd64", from); err != nil || got.Program != want {
			t.Errorf("%q: %+v, %v, want %s", from, got, err, want)
		}
	}
}
