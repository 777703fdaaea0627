//go:build linux

package device

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
)

func TestFind(t *testing.T) {
	found, err := Find([]*api.Device{{Source: "/dev/null", Target: "/dev/nothing", Access: "rw"}})
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if d := found[0]; d.Target != "/dev/nothing" || d.Number != unix.Mkdev(1, 3) || d.Mode&unix.S_IFMT != unix.S_IFCHR || d.Rule() != "c 1:3 rw" {
		t.Errorf("%+v, %s", d, d.Rule())
	}
	if r := (Device{Mode: unix.S_IFBLK | 0o600, Number: unix.Mkdev(254, 7), access: "r"}).Rule(); r != "b 254:7 r" {
		t.Error(r)
	}
	dir := t.TempDir()
	for name, to := range map[string]string{"a": "/dev/null", "sub/b": "/dev/zero"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	found, err = Find([]*api.Device{{Source: dir, Target: "/dev/all", Access: "rwm"}})
	if err != nil || len(found) != 2 || found[0].Target != "/dev/all/a" || found[1].Target != "/dev/all/sub/b" {
		t.Errorf("a directory: %+v, %v", found, err)
	}
	for source, want := range map[string]string{"/dev/no-such-device": "the container's machine has no such device", "/etc/passwd": "it is no device"} {
		if _, err := Find([]*api.Device{{Source: source, Target: "/x"}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", source, err)
		}
	}
	if _, err := Find([]*api.Device{{Disk: "no-such-disk", Target: "/x"}}); err == nil || !strings.Contains(err.Error(), `disk "no-such-disk"`) {
		t.Errorf("a disk: %v", err)
	}
}
