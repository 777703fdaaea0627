package vz

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/engine/vm"
)

var testHost = host{arch: "arm64", minCPUs: 1, maxCPUs: 8, minMemory: 4 * mebibyte, maxMemory: 1024 * mebibyte}

func file(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// kernel makes a file that passes for a kernel.
func kernel(t *testing.T, arch string) string {
	t.Helper()
	image := make([]byte, 4096)
	m := kernels[arch].magic
	copy(image[m.offset:], m.bytes)
	return file(t, "kernel-"+arch, image)
}

// socket makes one end of a network interface.
func socket(t *testing.T, kind int) *os.File {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, kind, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(pair[1])
	f := os.NewFile(uintptr(pair[0]), "socket")
	t.Cleanup(func() { f.Close() })
	return f
}

func goodConfig(t *testing.T) vm.Config {
	return vm.Config{
		Name: "c", Kernel: kernel(t, "arm64"), Cmdline: []string{"root=/dev/vda", "ro"}, CPUs: 2, Memory: 512 * mebibyte,
		Disks: []vm.Disk{
			{Path: file(t, "image", make([]byte, 512)), Serial: "image", ReadOnly: true},
			{Path: file(t, "scratch", make([]byte, 4096)), Serial: "scratch"},
			{URL: "nbd://host:10809/x", Serial: "network", ReadOnly: true},
		},
		NICs:    []vm.NIC{{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, MTU: 1500, File: socket(t, unix.SOCK_DGRAM)}},
		Shares:  []vm.Share{{Name: "s", Path: t.TempDir()}},
		Rosetta: true,
	}
}

func TestPlan(t *testing.T) {
	c := goodConfig(t)
	full := plan{
		kernel: c.Kernel, cmdline: "console=hvc0 quiet panic=1 reboot=t root=/dev/vda ro", cpus: 2, memory: 512 * mebibyte,
		disks: c.Disks, nics: c.NICs, shares: c.Shares, rosetta: true,
	}
	for _, tc := range []struct {
		name   string
		change func(*vm.Config)
		host   func(*host)
		want   func(*plan)
	}{
		{"all", func(*vm.Config) {}, func(*host) {}, func(*plan) {}},
		{"no devices", func(c *vm.Config) { c.Disks, c.NICs, c.Shares, c.Rosetta = nil, nil, nil, false },
			func(h *host) { h.rosetta, h.nbd = errors.New("no Rosetta"), errors.New("no NBD") }, // and nobody wants it
			func(p *plan) { p.disks, p.nics, p.shares, p.rosetta = nil, nil, nil, false }},
		{"the least", func(c *vm.Config) { c.CPUs, c.Memory = 1, 4*mebibyte }, func(*host) {}, func(p *plan) { p.cpus, p.memory = 1, 4*mebibyte }},
		{"the most", func(c *vm.Config) { c.CPUs, c.Memory = 8, 1024*mebibyte }, func(*host) {}, func(p *plan) { p.cpus, p.memory = 8, 1024*mebibyte }},
		{"on the host's network", func(c *vm.Config) { c.NICs = []vm.NIC{{MAC: c.NICs[0].MAC, Host: vm.NAT}} }, func(h *host) { h.vmnet = errors.New("no vmnet") },
			func(p *plan) { p.nics = []vm.NIC{{MAC: p.nics[0].MAC, Host: vm.NAT}} }},
		{"on vmnet's network", func(c *vm.Config) { c.NICs = []vm.NIC{{MAC: c.NICs[0].MAC, Host: vm.Vmnet}} }, func(h *host) {},
			func(p *plan) { p.nics = []vm.NIC{{MAC: p.nics[0].MAC, Host: vm.Vmnet}} }},
		{"cache", func(c *vm.Config) { c.RosettaCache = "/run/c" }, func(*host) {}, func(p *plan) { p.cache = "/run/c" }},
		{"nested", func(c *vm.Config) { c.Nested = true }, func(h *host) { h.nested = true }, func(p *plan) { p.nested = true }},
		{"Intel", func(c *vm.Config) { c.Kernel = kernel(t, "amd64") }, func(h *host) { h.arch = "amd64" }, func(p *plan) { p.kernel = "" }},
	} {
		t.Run(strings.ReplaceAll(tc.name, " ", "-"), func(t *testing.T) {
			config, h, want := c, testHost, full
			tc.change(&config)
			tc.host(&h)
			tc.want(&want)
			if want.kernel == "" {
				want.kernel = config.Kernel
			}
			got, err := newPlan(config, h)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("the plan is\n%+v, want\n%+v", got, want)
			}
		})
	}
}

func TestPlanRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*vm.Config)
		says   string
	}{
		{"no cpus", func(c *vm.Config) { c.CPUs = 0 }, "0 CPUs: this Mac allows 1 to 8"},
		{"too many cpus", func(c *vm.Config) { c.CPUs = 9 }, "9 CPUs"},
		{"odd memory", func(c *vm.Config) { c.Memory++ }, "multiple of 1 MiB"},
		{"too much memory", func(c *vm.Config) { c.Memory = 2048 * mebibyte }, "4 to 1024"},
		{"no kernel", func(c *vm.Config) { c.Kernel = "/no/such/kernel" }, "no such file"},
		{"disk missing", func(c *vm.Config) { c.Disks[0].Path += "x" }, "no such file"},
		{"disk is a directory", func(c *vm.Config) { c.Disks[0].Path = filepath.Dir(c.Disks[0].Path) }, "not a regular file"},
		{"half a sector", func(c *vm.Config) { os.Truncate(c.Disks[0].Path, 700) }, "700 bytes"},
		{"serial too long", func(c *vm.Config) { c.Disks[0].Serial = strings.Repeat("x", 21) }, "serial"},
		{"network disk's scheme", func(c *vm.Config) { c.Disks[2].URL = "http://host/x" }, `disk "network": the URL`},
		{"network disk with a path", func(c *vm.Config) { c.Disks[2].Path = "/x" }, "both a path"},
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
		{"stream socket", func(c *vm.Config) { c.NICs[0].File = socket(t, unix.SOCK_STREAM) }, "not a datagram socket"},
		{"file for a socket", func(c *vm.Config) { c.NICs[0].File = os.Stdin }, "not a datagram socket"},
		{"long command line", func(c *vm.Config) { c.Cmdline = append(c.Cmdline, strings.Repeat("x", maxCmdline)) }, "at most 2047"},
		{"kernel is no file", func(c *vm.Config) { c.Kernel = t.TempDir() }, "uncompressed"},
		{"kernel's path is relative", func(c *vm.Config) { c.Kernel = "Image" }, "absolute path"},
		{"kernel for Intel", func(c *vm.Config) { c.Kernel = kernel(t, "amd64") }, "uncompressed"},
		{"nested", func(c *vm.Config) { c.Nested = true }, "need macOS 15"},
		{"cache of nothing", func(c *vm.Config) { c.Rosetta, c.RosettaCache = false, "/run/c" }, "no Rosetta"},
		{"cache's path is relative", func(c *vm.Config) { c.RosettaCache = "c" }, "absolute path"},
		{"cache's path is long", func(c *vm.Config) { c.RosettaCache = "/" + strings.Repeat("c", 107) }, "107 bytes"},
		{"two mistakes", func(c *vm.Config) { c.CPUs, c.Memory = 0, 1 }, "multiple"},
	} {
		t.Run(strings.ReplaceAll(tc.name, " ", "-"), func(t *testing.T) {
			c := goodConfig(t)
			tc.change(&c)
			if _, err := newPlan(c, testHost); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %q in it", err, tc.says)
			}
		})
	}
}

// TestRestorePlan plans a machine that was saved, and machines that were not.
func TestRestorePlan(t *testing.T) {
	c := goodConfig(t)
	c.Shares, c.Rosetta, c.Disks = nil, false, c.Disks[:2] // nothing can be saved with these, or with a network block device
	saved, err := vm.Describe(c, driverName)
	if err != nil {
		t.Fatal(err)
	}
	write := func(identity string) func(string) error {
		return func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, identityName), []byte(identity), 0o600), os.WriteFile(filepath.Join(dir, stateName), nil, 0o600))
		}
	}
	parent := t.TempDir()
	c.Restore = filepath.Join(parent, "saved")
	if err := vm.WriteSaved(c.Restore, saved, write("mine")); err != nil {
		t.Fatal(err)
	}
	p, err := newPlan(c, testHost)
	if err != nil || p.restore != c.Restore || string(p.identity) != "mine" {
		t.Errorf("%+v, %v", p, err)
	}
	for says, change := range map[string]func(*vm.Config){
		"CPUs is 1 and was 2": func(c *vm.Config) { c.CPUs = 1 },
		"cannot be saved":     func(c *vm.Config) { c.Shares = goodConfig(t).Shares },
		"no such file":        func(c *vm.Config) { c.Restore = parent },
		"0 bytes": func(c *vm.Config) {
			c.Restore = filepath.Join(parent, "empty")
			vm.WriteSaved(c.Restore, saved, write(""))
		},
		"4097 bytes": func(c *vm.Config) {
			c.Restore = filepath.Join(parent, "large")
			vm.WriteSaved(c.Restore, saved, write(strings.Repeat("x", 5000)))
		},
		"state: no such file": func(c *vm.Config) {
			c.Restore = filepath.Join(parent, "stateless")
			vm.WriteSaved(c.Restore, saved, write("mine"))
			os.Remove(filepath.Join(c.Restore, stateName))
		},
	} {
		other := c
		change(&other)
		if _, err := newPlan(other, testHost); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}

func TestSavingSupport(t *testing.T) {
	for macOS, want := range map[int]bool{13: false, 14: true, 26: true} {
		if err := checkSavingSupport(macOS); (err == nil) != want || err != nil && !errors.Is(err, vm.ErrNotSavable) {
			t.Errorf("macOS %d: %v", macOS, err)
		}
	}
}

// TestVmnetIsRefused wants the reason for it in the error.
func TestVmnetIsRefused(t *testing.T) {
	h, c := testHost, goodConfig(t)
	h.vmnet = errors.New("it needs macOS 26")
	c.NICs = []vm.NIC{{MAC: c.NICs[0].MAC, Host: vm.Vmnet}}
	if _, err := newPlan(c, h); err == nil || !strings.Contains(err.Error(), "macOS 26") {
		t.Errorf("got %v", err)
	}
	c.NICs[0].Host = "bridge"
	if _, err := newPlan(c, h); err == nil || !strings.Contains(err.Error(), "use nat or vmnet") {
		t.Errorf("got %v", err)
	}
}

// TestRosettaIsRefused wants the reason for it in the error.
func TestRosettaIsRefused(t *testing.T) {
	h := testHost
	h.rosetta = checkRosetta(rosettaNotInstalled, 26)
	if _, err := newPlan(goodConfig(t), h); err == nil || !strings.Contains(err.Error(), installRosetta) {
		t.Errorf("got %v", err)
	}
}

// TestNBDPlan wants one form of a URL, TLS, and too old a macOS refused.
func TestNBDPlan(t *testing.T) {
	c := goodConfig(t)
	c.Disks[2].URL = "nbds+unix:///a%2fb?socket=%2frun%2fs"
	p, err := newPlan(c, testHost)
	if err != nil || p.disks[2].URL != "nbds+unix:///a/b?socket=/run/s" {
		t.Errorf("%+v, %v", p.disks, err)
	}
	if c.Disks[2].URL != "nbds+unix:///a%2fb?socket=%2frun%2fs" {
		t.Error("the caller's configuration has changed")
	}
	for macOS, refused := range map[int]bool{13: true, 14: false, 26: false} {
		h := testHost
		h.nbd = checkNBDSupport(macOS)
		_, err := newPlan(c, h)
		if (err != nil) != refused || refused && (!strings.Contains(err.Error(), "macOS 14 or newer") || !strings.Contains(err.Error(), `disk "network"`)) {
			t.Errorf("macOS %d: %v", macOS, err)
		}
	}
}

func TestKernelForms(t *testing.T) {
	gzip := file(t, "Image.gz", append([]byte{0x1f, 0x8b}, make([]byte, 4096)...))
	empty := file(t, "empty", nil)
	for arch := range kernels {
		if err := checkKernel(kernel(t, arch), arch); err != nil {
			t.Errorf("%s: %v", arch, err)
		}
		for _, path := range []string{gzip, empty} {
			if err := checkKernel(path, arch); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%s for %s: %v", path, arch, err)
			}
		}
	}
	if err := checkKernel(file(t, "vmlinux", append([]byte("\x7fELF"), make([]byte, 4096)...)), "amd64"); err == nil || !strings.Contains(err.Error(), "bzImage") {
		t.Errorf("vmlinux: %v", err)
	}
}

// TestDuplicate wants a descriptor that outlives its original and that no
// program inherits.
func TestDuplicate(t *testing.T) {
	original := socket(t, unix.SOCK_DGRAM)
	f, err := duplicate(original)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	original.Close()
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0)
	if err != nil {
		t.Fatal(err)
	}
	if flags&unix.FD_CLOEXEC == 0 {
		t.Error("it is inherited")
	}
	if _, err := duplicate(original); err == nil {
		t.Error("a closed file was duplicated")
	}
}
