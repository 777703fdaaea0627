//go:build linux

package tests

import (
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/skerry-app/skerry/engine"
	"github.com/skerry-app/skerry/engine/vm/qemu"
	"github.com/skerry-app/skerry/registry"
)

// TestMacFiles runs a container for arm64 to its end on the very kernel and init
// image that go into the application for the Mac.
func TestMacFiles(t *testing.T) {
	files := map[string]string{}
	for _, variable := range []string{"SKERRY_TEST_KERNEL_ARM64", "SKERRY_TEST_INIT_ARM64"} {
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
		InitImage: files["SKERRY_TEST_INIT_ARM64"], Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if _, err := e.Pull(t.Context(), image, registry.PullOptions{}); err != nil {
		t.Fatal(err)
	}
	c, err := e.Create(t.Context(), engine.Spec{Image: image, Command: []string{"sh", "-c", "uname -m; ip -o -4 addr show eth0 | grep -c inet; exit 7"}})
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
	if out.String() != "aarch64\n1\n" || errors.String() != "" {
		t.Errorf("it said %q and %q", &out, &errors)
	}
}
