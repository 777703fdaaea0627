// Package ext4test lets others judge file systems in tests: e2fsprogs checks
// them, and the kernel mounts them, so that what is read is compared with what
// was meant.
package ext4test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// Fsck fails the test unless e2fsck finds nothing to improve in an image.
func Fsck(t testing.TB, image string) {
	t.Helper()
	e2fsck := tool(t, "e2fsck")
	if out, err := exec.Command(e2fsck, "-fn", image).CombinedOutput(); err != nil {
		t.Errorf("e2fsck -fn: %v\n%s", err, out)
	}
}

// Mke2fs runs mke2fs.
func Mke2fs(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command(tool(t, "mke2fs"), append([]string{"-q"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("mke2fs %v: %v\n%s", args, err, out)
	}
}

// Debugfs returns what debugfs answers to a request.
func Debugfs(t testing.TB, image, request string) string {
	t.Helper()
	out, err := exec.Command(tool(t, "debugfs"), "-R", request, image).Output()
	if err != nil {
		t.Fatalf("debugfs %s: %v", request, err)
	}
	return string(out)
}

// Dumpe2fs returns what dumpe2fs says of all groups.
func Dumpe2fs(t testing.TB, image string) string {
	t.Helper()
	out, err := exec.Command(tool(t, "dumpe2fs"), image).Output()
	if err != nil {
		t.Fatalf("dumpe2fs: %v", err)
	}
	return string(out)
}

// tool finds a program of e2fsprogs, also where a user's PATH has no sbin.
func tool(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/sbin/"} {
		if p, err := exec.LookPath(dir + name); err == nil {
			return p
		}
	}
	t.Skipf("%s is not here: install e2fsprogs", name)
	return ""
}

// Tune2fs runs tune2fs.
func Tune2fs(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command(tool(t, "tune2fs"), args...).CombinedOutput(); err != nil {
		t.Fatalf("tune2fs %v: %v\n%s", args, err, out)
	}
}

// Change has debugfs carry out requests that change an image.
func Change(t testing.TB, image string, requests ...string) {
	t.Helper()
	cmd := exec.Command(tool(t, "debugfs"), "-w", "-f", "-", image)
	cmd.Stdin = strings.NewReader(strings.Join(requests, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("debugfs %q: %v\n%s", requests, err, out)
	}
}

// Replay has e2fsck replay the journal of an image and do nothing else.
func Replay(t testing.TB, image string) {
	t.Helper()
	out, err := exec.Command(tool(t, "e2fsck"), "-y", "-E", "journal_only", image).CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) { // 1: something was repaired
		t.Fatalf("e2fsck -E journal_only: %v\n%s", err, out)
	}
}
