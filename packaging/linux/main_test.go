package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// inputs are files that stand in for the real ones: whether these packages run is
// found out in tests/.
func inputs(t *testing.T) options {
	dir := t.TempDir()
	o := options{program: filepath.Join(dir, "skerry"), kernel: filepath.Join(dir, "kernel"), init: filepath.Join(dir, "init"), version: "v1.2.3", output: filepath.Join(dir, "out")}
	for path, text := range map[string]string{o.program: "#!/bin/sh\necho \"$@\"\n", o.kernel: "Linux version 6.12.1-skerry (a@b)\n", o.init: "ext4"} {
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func TestReproducible(t *testing.T) {
	t.Chdir("../..")
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	first, second := inputs(t), inputs(t)
	for _, o := range []options{first, second} {
		if err := pack(o); err != nil {
			t.Fatal(err)
		}
	}
	packages, err := filepath.Glob(filepath.Join(first.output, "skerry_1.2.3_*"))
	if err != nil || len(packages) != 2 {
		t.Fatalf("the packages are %q, %v; want a .deb and a tarball", packages, err)
	}
	for _, path := range packages {
		one, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		other, err := os.ReadFile(filepath.Join(second.output, filepath.Base(path)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one, other) {
			t.Errorf("%s has other bytes when made again", filepath.Base(path))
		}
	}
}

func TestDesktopFiles(t *testing.T) {
	for _, file := range []string{id + ".desktop", "autostart.desktop"} {
		if out, err := exec.Command("desktop-file-validate", file).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}

// TestVersions has dpkg sort the versions of a history.
func TestVersions(t *testing.T) {
	history := []string{"bf64ff1", "v0.1.0", "v0.1.0-3-gabc", "v0.1.0-3-gabc-dirty", "v0.1.0-12-gdef", "v0.1.1", "v0.10.0"}
	for i := 1; i < len(history); i++ {
		one, next := debianVersion(history[i-1]), debianVersion(history[i])
		if out, err := exec.Command("dpkg", "--compare-versions", one, "lt", next).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s is not before %s: %v\n%s", one, next, err, out)
		}
	}
}
