//go:build linux

package tests

import (
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/skerry-app/skerry/engine"
	"github.com/skerry-app/skerry/engine/vm/qemu"
	"github.com/skerry-app/skerry/registry"
)

// TestMacFiles runs a container for arm64 to its end on the very kernel and init
// image that go into the application for the Mac, and one for amd64 by the very
// emulator.
func TestMacFiles(t *testing.T) {
	files := map[string]string{}
	for _, variable := range []string{"SKERRY_TEST_KERNEL_ARM64", "SKERRY_TEST_INIT_ARM64", "SKERRY_TEST_TRANSLATORS_ARM64"} {
		if files[variable] = os.Getenv(variable); files[variable] == "" {
			t.Skip(variable + " is not set: make test")
		}
	}
	image := arm64Image(t)
	log := &lockedBuffer{}
	driver, err := qemu.New(qemu.Options{Arch: "arm64"})
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.Open(t.Context(), engine.Options{Home: newHome(t), Driver: driver, Arch: "arm64", Kernel: files["SKERRY_TEST_KERNEL_ARM64"],
		InitImage: files["SKERRY_TEST_INIT_ARM64"], Translators: files["SKERRY_TEST_TRANSLATORS_ARM64"], Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	run := func(t *testing.T, image, platform, command, want string) {
		if _, err := e.Pull(t.Context(), image, registry.PullOptions{Platform: platform}); err != nil {
			t.Fatal(err)
		}
		c, err := e.Create(t.Context(), engine.Spec{Image: image, Platform: platform, Command: []string{"sh", "-c", command}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(t.Context()); err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		exit, err := c.Wait(t.Context(), engine.WaitNotRunning, nil)
		if err != nil || exit.Code != 7 {
			t.Errorf("exit: %+v, %v", exit, err)
		}
		var out, errors strings.Builder
		if err := c.Logs(t.Context(), engine.LogOptions{Tail: -1}, &out, &errors); err != nil {
			t.Fatal(err)
		}
		if out.String() != want || errors.String() != "" {
			t.Errorf("it said %q and %q", &out, &errors)
		}
	}
	t.Run("arm64", func(t *testing.T) {
		run(t, image, "linux/arm64", "uname -m; ip -o -4 addr show eth0 | grep -c inet; exit 7", "aarch64\n1\n")
	})
	t.Run("amd64", func(t *testing.T) {
		if runtime.GOARCH != "amd64" {
			t.Skip("the busybox of this computer is not for amd64")
		}
		run(t, testImage, "linux/amd64", "uname -m; exit 7", "x86_64\n")
	})
}

// TestMacKernel boots the form of the kernel that goes into the application for
// Macs with Intel, and looks in it for all that a guest needs.
func TestMacKernel(t *testing.T) {
	kernel := os.Getenv("SKERRY_TEST_BZIMAGE")
	if kernel == "" {
		t.Skip("SKERRY_TEST_BZIMAGE is not set: make test")
	}
	check := exec.Command("go", "run", "../kernel/check", "-arch", "x86_64", kernel)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
