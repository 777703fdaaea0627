//go:build linux

package qemu

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skerry-app/skerry/engine/nbd"
	"github.com/skerry-app/skerry/engine/nbd/nbdtest"
	"github.com/skerry-app/skerry/engine/vm"
)

// TestNBDOptions wants names that QEMU's other syntax would take apart to come
// out of the JSON as they went in.
func TestNBDOptions(t *testing.T) {
	for _, name := range []string{"", "plain", `","driver":"file","filename":"/etc/shadow`, "a,b=c", `\`, "é\u2028", "%s", "/dev/fdset/1"} {
		address := nbd.Address{Socket: "/run/" + name, Export: name}
		b := newBlockdev(3, &vm.Disk{URL: "nbd", ReadOnly: true}, backing{nbd: address})
		var got struct {
			Driver   string
			NodeName string `json:"node-name"`
			ReadOnly bool   `json:"read-only"`
			Filename *string
			Export   string
			Server   socketAddress
			Delay    int `json:"reconnect-delay"`
		}
		if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
			t.Fatal(err)
		}
		if got.Driver != "nbd" || got.NodeName != "disk3" || !got.ReadOnly || got.Filename != nil || got.Export != name || got.Delay == 0 ||
			got.Server != (socketAddress{Type: "unix", Path: address.Socket}) {
			t.Errorf("%q: %s", name, b)
		}
	}
}

func image(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, make([]byte, mebibyte), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestNBDFails starts machines whose network block device cannot be had. The
// names hold words that the driver would make concessions for.
func TestNBDFails(t *testing.T) {
	good := nbdtest.Serve(t, image(t))
	readOnly := nbdtest.ServeReadOnly(t, image(t))
	none := filepath.Join(t.TempDir(), "kvm seccomp")
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, test := range map[string]struct {
		disk vm.Disk
		want string
	}{
		"no server": {vm.Disk{URL: nbd.Address{Socket: none, Export: "kvm"}.String()}, "No such file"},
		"no export": {vm.Disk{URL: strings.Replace(good.URL, nbdtest.Export, `kvm%22%7D`, 1)}, "export 'kvm\"}' not present"},
		"read-only": {vm.Disk{URL: readOnly.URL}, "for reading only"},
		"silence":   {vm.Disk{URL: "nbd://" + silent.Addr().String()}, "timeout"},
		"refused":   {vm.Disk{URL: "nbd://127.0.0.1:1/"}, "Connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDriver(t, Options{Accel: accelTCG})
			c := unbootable(t)
			c.Disks = []vm.Disk{{Path: image(t), Serial: "first"}, test.disk}
			c.Disks[1].Serial = "second"
			m := newMachine(t, d, c)
			err := m.Start(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), `disk "second"`) {
				t.Errorf("start: %v, want %q in it", err, test.want)
			}
			if !d.sandboxed() {
				t.Error("the driver has given up the sandbox")
			}
		})
	}
}

func TestNBDRefused(t *testing.T) {
	for url, want := range map[string]string{
		"nbds://host/x":                  "macOS only",
		"nbds+unix:///x?socket=/run/x":   "macOS only",
		"http://host/x":                  "scheme",
		"nbd+unix:///x?socket=relative":  "absolute",
		"nbd://user:secret@host:10809/x": "user",
	} {
		if _, err := openDisks([]vm.Disk{{URL: url, Serial: "x"}}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `disk "x"`) {
			t.Errorf("%s: %v, want %q in it", url, err, want)
		}
	}
	if _, err := openDisks([]vm.Disk{{URL: "nbd://host/x", Path: "/x", Serial: "x"}}); err == nil {
		t.Error("a disk with a path and a URL is taken")
	}
}
