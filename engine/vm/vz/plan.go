// Package vz drives Virtualization.framework on macOS. The files named _darwin
// make the calls into the framework and hold no decisions; what is decided
// before a call is decided in the others, which build and are tested
// everywhere.
package vz

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/engine/vm"
)

// host is what the framework allows on this Mac.
type host struct {
	arch                 string // as in GOARCH
	minCPUs, maxCPUs     int
	minMemory, maxMemory int64 // bytes
	rosetta              error // what keeps machines from having Rosetta; nil if nothing
	nbd                  error // what keeps them from having network block devices
	nested               bool  // machines can run machines of their own
	vmnet                error // what keeps machines from vmnet's networks; nil if nothing
}

// plan is a machine as the framework wants it. Every value in it has been
// checked: the framework answers some mistakes with an Objective-C exception,
// which ends the process.
type plan struct {
	kernel  string
	cmdline string
	cpus    uint
	memory  uint64    // bytes
	disks   []vm.Disk // URLs in the form of nbd.Address
	nics    []vm.NIC
	shares  []vm.Share // of one device
	rosetta bool       // on a device of its own
	cache   string     // the socket of its cache; empty: none
	nested  bool

	restore  string // directory of a saved machine; empty: boot
	identity []byte // of that; nil: a new one
}

// parameters are the kernel's for every machine. The virtio console is the only
// one that the framework offers. The guest's clock needs no help: arm64's timer
// says its own frequency. After a panic the kernel waits a second before it
// resets the machine, in which the driver reads its last words and ends it: a
// reset might start it anew. On x86 only a triple fault is a reset everywhere.
var parameters = []string{"console=hvc0", "quiet", "panic=1", "reboot=t"}

const mebibyte = 1 << 20

// maxCmdline is what a kernel takes of its command line, in bytes; it ignores the
// rest (COMMAND_LINE_SIZE less the final zero, on x86 and on arm64).
const maxCmdline = 2047

// maxMTU and minMTU are what VZFileHandleNetworkDeviceAttachment's
// maximumTransmissionUnit accepts (macOS 13).
const minMTU, maxMTU = 1500, 65535

// errNotNested: VZGenericPlatformConfiguration's isNestedVirtualizationSupported
// (macOS 15) is false on everything older.
var errNotNested = errors.New("machines inside a machine need macOS 15 or newer on Apple's M3 or newer")

var validSerial = regexp.MustCompile(`^[A-Za-z0-9-]{1,20}$`)

// newPlan checks a configuration against what this host allows. The error names
// all that is wrong.
func newPlan(c vm.Config, h host) (plan, error) {
	p := plan{
		kernel:  c.Kernel,
		cmdline: strings.Join(append(slices.Clone(parameters), c.Cmdline...), " "),
		cpus:    uint(c.CPUs), memory: uint64(c.Memory),
		disks: slices.Clone(c.Disks), nics: slices.Clone(c.NICs), shares: slices.Clone(c.Shares), rosetta: c.Rosetta, cache: c.RosettaCache, nested: c.Nested,
	}
	err := errors.Join(checkKernel(c.Kernel, h.arch), checkCmdline(p.cmdline), checkSize(c, h), checkDisks(p.disks, h),
		checkNICs(c.NICs, h), vm.CheckShares(c.Shares), checkCache(c))
	if c.Rosetta {
		err = errors.Join(err, h.rosetta)
	}
	if c.Restore != "" {
		var rerr error
		p.restore = c.Restore
		p.identity, rerr = checkRestore(c)
		err = errors.Join(err, rerr)
	}
	if c.Nested && !h.nested {
		err = errors.Join(err, errNotNested)
	}
	if err != nil {
		return plan{}, err
	}
	return p, nil
}

// maxSocketPath is what an address of a unix socket in the guest holds (unix(7)),
// less the final zero.
const maxSocketPath = 107

func checkCache(c vm.Config) error {
	switch {
	case c.RosettaCache == "":
		return nil
	case !c.Rosetta:
		return errors.New("a cache for Rosetta: the machine has no Rosetta")
	case !path.IsAbs(c.RosettaCache) || len(c.RosettaCache) > maxSocketPath:
		return fmt.Errorf("the cache for Rosetta at %q: use an absolute path of at most %d bytes", c.RosettaCache, maxSocketPath)
	}
	return nil
}

func checkCmdline(cmdline string) error {
	if len(cmdline) > maxCmdline {
		return fmt.Errorf("the kernel's command line has %d bytes: use at most %d", len(cmdline), maxCmdline)
	}
	return nil
}

// checkSize refuses what does not fit instead of making it fit: who asked for a
// size is to know that it cannot be had.
func checkSize(c vm.Config, h host) error {
	var errs []error
	if c.CPUs < h.minCPUs || c.CPUs > h.maxCPUs {
		errs = append(errs, fmt.Errorf("%d CPUs: this Mac allows %d to %d", c.CPUs, h.minCPUs, h.maxCPUs))
	}
	if c.Memory%mebibyte != 0 {
		errs = append(errs, fmt.Errorf("%d bytes of memory: use a multiple of 1 MiB", c.Memory))
	}
	if c.Memory < h.minMemory || c.Memory > h.maxMemory {
		errs = append(errs, fmt.Errorf("%d MiB of memory: this Mac allows %d to %d", c.Memory/mebibyte, h.minMemory/mebibyte, h.maxMemory/mebibyte))
	}
	return errors.Join(errs...)
}

// magic is how a kernel's file is told: bytes at an offset.
type magic struct {
	offset int64
	bytes  string
}

// kernels are the forms of kernel that the framework takes by architecture. It
// answers others with a machine that does nothing.
var kernels = map[string]struct {
	magic magic
	want  string
}{
	// Documentation/arch/arm64/booting.rst, section 4.
	"arm64": {magic{0x38, "ARMd"}, "an uncompressed arm64 Image"},
	// Documentation/arch/x86/boot.rst, "header" of the setup header. Nobody is known
	// to have booted an ELF file.
	"amd64": {magic{0x202, "HdrS"}, "a bzImage for x86_64"},
}

func checkKernel(path, arch string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("kernel %q: use an absolute path", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("kernel: %w", err)
	}
	defer f.Close()
	m := kernels[arch].magic
	found := make([]byte, len(m.bytes))
	if _, err := f.ReadAt(found, m.offset); err == nil && string(found) == m.bytes {
		return nil
	}
	return fmt.Errorf("kernel %s is not %s: build it with kernel/build.sh", path, kernels[arch].want)
}

// checkDisks checks disks and gives the URLs of network block devices the form
// that is the same for all ways to write them.
func checkDisks(disks []vm.Disk, h host) error {
	for i := range disks {
		d := &disks[i]
		if !validSerial.MatchString(d.Serial) {
			return fmt.Errorf("disk %s: serial %q: use 1 to 20 letters, digits or dashes", d.Path+d.URL, d.Serial)
		}
		check := checkImage
		if d.URL != "" {
			check = h.checkNBD
		}
		if err := check(d); err != nil {
			return fmt.Errorf("disk %q: %w", d.Serial, err)
		}
	}
	return nil
}

// checkImage checks a file of the host.
func checkImage(d *vm.Disk) error {
	st, err := os.Stat(d.Path)
	switch {
	case err != nil:
		return err
	case !st.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", d.Path)
	case st.Size() == 0 || st.Size()%512 != 0:
		return fmt.Errorf("%s has %d bytes, which is not a whole number of sectors", d.Path, st.Size())
	}
	return nil
}

func checkNICs(nics []vm.NIC, h host) error {
	for i, n := range nics {
		if err := checkNIC(n, h); err != nil {
			return fmt.Errorf("network interface %d: %w", i, err)
		}
	}
	return nil
}

func checkNIC(n vm.NIC, h host) error {
	if n.Host == vm.Vmnet && h.vmnet != nil {
		return h.vmnet
	}
	if n.Host != "" {
		return vm.CheckHostNIC(n)
	}
	// The framework answers a bad address with nil, and the use of that with a
	// crash.
	if err := vm.CheckMAC(n.MAC); err != nil {
		return err
	}
	if n.MTU < minMTU || n.MTU > maxMTU {
		return fmt.Errorf("MTU %d: use %d to %d", n.MTU, minMTU, maxMTU)
	}
	if n.File == nil {
		return errors.New("it has no socket")
	}
	raw, err := n.File.SyscallConn()
	if err != nil {
		return fmt.Errorf("use its socket: %w", err)
	}
	var kind int
	if cerr := raw.Control(func(fd uintptr) { kind, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TYPE) }); cerr != nil {
		return fmt.Errorf("use its socket: %w", cerr)
	}
	if err != nil || kind != unix.SOCK_DGRAM {
		return errors.New("its file is not a datagram socket")
	}
	return nil
}

// duplicate returns a file of our own for another's descriptor.
func duplicate(f *os.File) (*os.File, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	if cerr := raw.Control(func(p uintptr) { fd, err = duplicateFD(int(p)) }); cerr != nil {
		return nil, cerr
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// duplicateFD duplicates a descriptor so that no program started meanwhile
// inherits it.
func duplicateFD(fd int) (int, error) {
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	return fd, os.NewSyscallError("fcntl", err)
}
