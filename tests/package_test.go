package tests

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPackage installs the .deb below a root of its own, runs a container with
// what is installed, and purges it.
func TestPackage(t *testing.T) {
	kernel, init := os.Getenv("SKERRY_TEST_KERNEL"), os.Getenv("SKERRY_TEST_INIT")
	if kernel == "" || init == "" {
		t.Skip("SKERRY_TEST_KERNEL and SKERRY_TEST_INIT are not set: make test")
	}
	root, output := t.TempDir(), t.TempDir()
	pack := exec.Command("go", "run", "./packaging/linux", "-program", program(t), "-kernel", kernel, "-init", init, "-version", "v0.1.0", "-o", output)
	pack.Dir = ".."
	if out, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	debs, err := filepath.Glob(filepath.Join(output, "*.deb"))
	if err != nil || len(debs) != 1 {
		t.Fatalf("the packages are %q, %v", debs, err)
	}
	dpkg := newDpkg(t, root)
	dpkg("--install", debs[0])

	t.Setenv("SKERRY_BIN", filepath.Join(root, "usr/bin/skerry"))
	a := startApp(t)
	a.ok("skerry", "pull", testImage)
	if out := a.ok("skerry", "run", "--rm", testImage, "echo", "installed"); strings.TrimSpace(out) != "installed" {
		t.Errorf("the container said %q", out)
	}

	completions := filepath.Join(root, "usr/share/bash-completion/completions/skerry")
	if out, err := exec.Command("bash", "-c", `. "$1" && complete -p skerry`, "bash", completions).CombinedOutput(); err != nil {
		t.Errorf("bash does not complete the command: %v\n%s", err, out)
	}

	dpkg("--purge", "skerry")
	for _, dir := range []string{"usr", "etc"} {
		left, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		for _, e := range left {
			t.Errorf("the purge has left %s/%s", dir, e.Name())
		}
	}
}

// newDpkg is dpkg for a system below root that has nothing installed.
func newDpkg(t *testing.T, root string) func(args ...string) {
	t.Helper()
	for _, dir := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return func(args ...string) {
		t.Helper()
		cmd := exec.Command("dpkg", append([]string{"--root=" + root, "--force-depends", "--force-not-root", "--log=" + os.DevNull}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
	}
}
