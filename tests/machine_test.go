package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMachine asks for machines that are other than usual. Numbers are those of
// Apple's scenarios.
func TestMachine(t *testing.T) {
	a := shared(t)
	t.Run("machines inside 133", func(t *testing.T) {
		image := insideImage(t, "inside-nest")
		t.Cleanup(func() { a.with(t).ok("skerry", "rmi", "-f", image) })
		a := a.with(t)
		a.ok("skerry", "run", "--rm", "--virtualization", image, "inside", "nest")
		// By any user, for whom docker's label asks.
		a.ok("docker", "run", "--rm", "-u", "1000", "--label", "dev.skerry.virtualization=true", image, "inside", "nest")
		a.fails(1, "/dev/kvm does not exist", "skerry", "run", "--rm", "--privileged", image, "inside", "nest")
	})
	t.Run("another kernel", func(t *testing.T) {
		a := a.with(t)
		kernel, err := os.ReadFile(os.Getenv("SKERRY_TEST_KERNEL"))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		own := filepath.Join(dir, "my kernel")
		must(t, os.WriteFile(own, kernel, 0o600))
		a.ok("skerry", "run", "-d", "--name", "own-kernel", "--kernel", own, testImage, "sleep", "300")
		cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", a.onlyMachine()))
		if err != nil || !strings.Contains(string(cmdline), "\x00-kernel\x00"+own+"\x00") {
			t.Errorf("the machine is %q, %v", cmdline, err)
		}
		a.ok("skerry", "rm", "-f", "own-kernel")

		a.ok("skerry", "create", "--pod", "p", "--name", "pod-own", "--kernel", own, testImage, "true")
		a.ok("skerry", "create", "--pod", "p", "--name", "pod-usual", testImage, "true")
		a.fails(1, "pod-own and pod-usual share the machine of pod p and ask for different kernels", "skerry", "start", "pod-own")
		a.ok("skerry", "rm", "pod-own", "pod-usual")

		must(t, os.WriteFile(own, kernel[:100], 0o600))
		a.fails(125, own, "skerry", "run", "--rm", "--kernel", own, testImage, "true")
		a.fails(125, "kernel: stat "+dir+"/nothing: no such file", "skerry", "run", "--rm", "--kernel", dir+"/nothing", testImage, "true")
		a.fails(125, fmt.Sprintf("%s is not a regular file", dir), "skerry", "run", "--rm", "--kernel", dir, testImage, "true")
	})
}
