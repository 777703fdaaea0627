package vmtest

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skerry-app/skerry/engine/vm"
)

// testConfig wants configurations that cannot work refused, before anything is
// started, with an error that names what is wrong.
func (s *suite) testConfig(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, size int) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	disk := func(d vm.Disk) func(*vm.Config) {
		return func(c *vm.Config) { c.Disks = append(c.Disks, d) }
	}
	nic := func(n vm.NIC) func(*vm.Config) {
		return func(c *vm.Config) { c.NICs = append(c.NICs, n) }
	}
	share := func(s vm.Share) func(*vm.Config) {
		return func(c *vm.Config) { c.Shares = append(c.Shares, s) }
	}
	for name, test := range map[string]struct {
		change func(*vm.Config)
		want   string
	}{
		"no CPU":             {func(c *vm.Config) { c.CPUs = 0 }, "CPU"},
		"too many CPUs":      {func(c *vm.Config) { c.CPUs = 100_000 }, "CPU"},
		"no memory":          {func(c *vm.Config) { c.Memory = 0 }, "memory"},
		"little memory":      {func(c *vm.Config) { c.Memory = 1 << 20 }, "memory"},
		"odd memory":         {func(c *vm.Config) { c.Memory += 4096 }, "memory"},
		"no kernel":          {func(c *vm.Config) { c.Kernel = filepath.Join(dir, "absent") }, "absent"},
		"kernel is no file":  {func(c *vm.Config) { c.Kernel = dir }, "kernel"},
		"kernel is no image": {func(c *vm.Config) { c.Kernel = write("zeros", 1<<20) }, "zeros"},
		"kernel is empty":    {func(c *vm.Config) { c.Kernel = write("empty", 0) }, "empty"},
		"no disk":            {disk(vm.Disk{Path: filepath.Join(dir, "gone"), Serial: "x"}), "gone"},
		"disk is a folder":   {disk(vm.Disk{Path: dir, ReadOnly: true, Serial: "x"}), dir},
		"empty disk":         {disk(vm.Disk{Path: write("void", 0), Serial: "x"}), "void"},
		"odd disk":           {disk(vm.Disk{Path: write("odd", 1000), Serial: "x"}), "odd"},
		"no NBD":             {disk(vm.Disk{URL: "http://host/x", Serial: "x"}), "scheme"},
		"no serial":          {disk(vm.Disk{Path: write("a", 4096)}), "serial"},
		"long serial":        {disk(vm.Disk{Path: write("b", 4096), Serial: strings.Repeat("x", 21)}), "serial"},
		"serial with comma":  {disk(vm.Disk{Path: write("c", 4096), Serial: "a,b=c"}), "serial"},
		"no share":           {share(vm.Share{Name: "s", Path: filepath.Join(dir, "nowhere")}), "nowhere"},
		"share's odd name":   {share(vm.Share{Name: "a/b", Path: dir}), "a/b"},
		"no MAC":             {nic(vm.NIC{MTU: 1500, File: os.Stdin}), "MAC"},
		"multicast MAC":      {nic(vm.NIC{MAC: net.HardwareAddr{1, 0, 0, 0, 0, 1}, MTU: 1500, File: os.Stdin}), "MAC"},
		"no MTU":             {nic(vm.NIC{MAC: mac, File: os.Stdin}), "MTU"},
		"no socket":          {nic(vm.NIC{MAC: mac, MTU: 1500}), "socket"},
	} {
		t.Run(name, func(t *testing.T) {
			s.noLeaks(t)
			c := s.config(t, nil)
			test.change(&c)
			m, err := s.driver.New(t.Context(), c)
			if err == nil {
				m.Stop(t.Context())
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("%q does not say %q", err, test.want)
			}
		})
	}
}
