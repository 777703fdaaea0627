package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/skerry-app/skerry/tests/busybox"
)

// arm64Image pushes an image of Debian's busybox for arm64 and returns its name.
func arm64Image(t *testing.T) string {
	t.Helper()
	const variable = "SKERRY_TEST_BUSYBOX_ARM64"
	path := os.Getenv(variable)
	if path == "" {
		t.Skip(variable + " names no busybox for arm64: make test")
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	image, err := busybox.ImageOf(binary)
	if err != nil {
		t.Fatal(err)
	}
	image.Config.Architecture = "arm64"
	const repository = "skerry/busybox-arm64"
	if _, err := image.Push(t.Context(), registryServer.Host, repository, "latest"); err != nil {
		t.Fatal(err)
	}
	return registryServer.Host + "/" + repository + ":latest"
}

// TestTranslate runs an image for arm64 in a machine for amd64.
func TestTranslate(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("on this computer arm64 needs no translation")
	}
	image := arm64Image(t)
	a := shared(t)
	t.Cleanup(func() { a.ok("skerry", "rmi", "-f", image) })
	r := a.do(nil, "skerry", "run", "--rm", "--init", image, "sh", "-c", "uname -m; ls /proc/sys/fs/binfmt_misc; ls -d /run/* 2>&1; echo deep | (exec -a cat busybox)")
	if want := "aarch64\nls: /run/*: No such file or directory\ndeep\n"; r.code != 0 || r.stdout != want {
		t.Errorf("%d, %q, want %q\n%s", r.code, r.stdout, want, r.stderr)
	}
	if !strings.Contains(r.stderr, "is for linux/arm64: its programs are translated by qemu-aarch64") {
		t.Errorf("nothing is said of the translation:\n%s", r.stderr)
	}
	// A container whose platform was asked for needs no warning, and its execs
	// are translated, too.
	a.ok("skerry", "run", "-d", "--platform", "linux/arm64", "--name", "translated", image, "sleep", "300")
	if out := a.ok("skerry", "exec", "-u", "app", "translated", "sh", "-c", "uname -m; id -un"); out != "aarch64\napp\n" {
		t.Errorf("exec: %q", out)
	}
	a.ok("skerry", "stop", "-t", "0", "translated")
	a.ok("skerry", "rm", "translated")
	// What is here is not what is asked for, and the registry has nothing else.
	a.fails(125, "no image for linux/amd64", "skerry", "run", "--rm", "--platform", "linux/amd64", image, "true")
}

// TestNoTranslator has an app that finds no translator say what to install.
func TestNoTranslator(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("on this computer arm64 needs no translation")
	}
	image := arm64Image(t)
	qemu, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir()
	if err := os.Symlink(qemu, filepath.Join(path, filepath.Base(qemu))); err != nil {
		t.Fatal(err)
	}
	a := &app{tb: t, home: newHome(t)}
	a.start("PATH=" + path)
	t.Cleanup(func() { a.stop(); a.checkNothingLeft() })
	a.fails(1, "there is: linux/arm64", "skerry", "pull", image)
	a.ok("skerry", "pull", "--platform", "linux/arm64", image)
	a.fails(1, "apt install qemu-user-static", "skerry", "create", image)
}
