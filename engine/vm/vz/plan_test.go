package vz

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skerry-app/skerry/engine/vm"
)

var testLimits = limits{minCPUs: 1, maxCPUs: 8, minMemory: 4 * mebibyte, maxMemory: 1024 * mebibyte}

func file(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func goodConfig(t *testing.T) vm.Config {
	image := make([]byte, 4096)
	copy(image[arm64MagicOffset:], arm64Magic)
	return vm.Config{
		Name: "c", Kernel: file(t, "Image", image), Cmdline: []string{"root=/dev/vda", "ro"}, CPUs: 2, Memory: 512 * mebibyte,
		Disks:  []vm.Disk{{Path: file(t, "disk", make([]byte, 512)), Serial: "image", ReadOnly: true}},
		NICs:   []vm.NIC{{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, MTU: 1500, File: os.Stdin}},
		Shares: []vm.Share{{Name: "s", Path: t.TempDir()}},
	}
}

func TestPlan(t *testing.T) {
	c := goodConfig(t)
	p, err := newPlan(c, testLimits)
	if err != nil {
		t.Fatal(err)
	}
	if want := "console=hvc0 quiet reboot=t panic=-1 root=/dev/vda ro"; p.cmdline != want || p.cpus != 2 || p.memory != 512*mebibyte {
		t.Errorf("the plan is %+v, want the command line %q", p, want)
	}
}

func TestPlanRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*vm.Config)
		says   string
	}{
		{"no cpus", func(c *vm.Config) { c.CPUs = 0 }, "0 cpus: this Mac allows 1 to 8"},
		{"too many cpus", func(c *vm.Config) { c.CPUs = 9 }, "9 cpus"},
		{"odd memory", func(c *vm.Config) { c.Memory++ }, "whole MiB"},
		{"too much memory", func(c *vm.Config) { c.Memory = 2048 * mebibyte }, "4 to 1024"},
		{"no kernel", func(c *vm.Config) { c.Kernel = "/no/such/kernel" }, "no such file"},
		{"disk missing", func(c *vm.Config) { c.Disks[0].Path += "x" }, "no such file"},
		{"disk is a directory", func(c *vm.Config) { c.Disks[0].Path = filepath.Dir(c.Disks[0].Path) }, "not a regular file"},
		{"half a sector", func(c *vm.Config) { os.Truncate(c.Disks[0].Path, 700) }, "700 bytes"},
		{"serial too long", func(c *vm.Config) { c.Disks[0].Serial = strings.Repeat("x", 21) }, "serial"},
		{"multicast address", func(c *vm.Config) { c.NICs[0].MAC[0] = 1 }, "unicast"},
		{"short address", func(c *vm.Config) { c.NICs[0].MAC = c.NICs[0].MAC[:5] }, "unicast"},
		{"small MTU", func(c *vm.Config) { c.NICs[0].MTU = 576 }, "MTU 576"},
		{"no share", func(c *vm.Config) { c.Shares[0].Path += "x" }, "no such file"},
		{"share is a file", func(c *vm.Config) { c.Shares[0].Path = c.Kernel }, "not a directory"},
		{"share's name is a path", func(c *vm.Config) { c.Shares[0].Name = "../x" }, "use a name"},
		{"shares of one name", func(c *vm.Config) { c.Shares = append(c.Shares, c.Shares[0]) }, "each once"},
		{"share's path is relative", func(c *vm.Config) { c.Shares[0].Path = "x" }, "absolute"},
		{"share's file is a path", func(c *vm.Config) { c.Shares[0].File = "../x" }, "not the name of a file"},
		{"no socket", func(c *vm.Config) { c.NICs[0].File = nil }, "no socket"},
	} {
		t.Run(strings.ReplaceAll(tc.name, " ", "-"), func(t *testing.T) {
			c := goodConfig(t)
			tc.change(&c)
			if _, err := newPlan(c, testLimits); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %q in it", err, tc.says)
			}
		})
	}
}

func TestKernelMustBeUncompressed(t *testing.T) {
	gzip := file(t, "Image.gz", append([]byte{0x1f, 0x8b}, make([]byte, 100)...))
	if err := checkKernel(gzip, "arm64"); err == nil || !strings.Contains(err.Error(), "uncompressed") {
		t.Errorf("got %v", err)
	}
}
