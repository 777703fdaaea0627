// Package vz drives Virtualization.framework on macOS. The files named _darwin
// make the calls into the framework and hold no decisions; what is decided
// before a call is decided in the others, which build and are tested
// everywhere.
package vz

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"

	"github.com/skerry-app/skerry/engine/vm"
)

// limits are what the framework allows on this host.
type limits struct {
	minCPUs, maxCPUs     int
	minMemory, maxMemory int64 // bytes
}

// plan is a machine as the framework wants it. Every value in it has been
// checked: the framework answers some mistakes with an Objective-C exception,
// which ends the process.
type plan struct {
	kernel  string
	cmdline string
	cpus    uint
	memory  uint64
	disks   []vm.Disk
	nics    []vm.NIC
	shares  []vm.Share
}

// The virtio console is the only one that the framework offers. The guest's
// clock needs no help: arm64's timer says its own frequency.
const consoleArgument = "console=hvc0"

const mebibyte = 1 << 20

// maxMTU and minMTU are what VZFileHandleNetworkDeviceAttachment's
// maximumTransmissionUnit accepts (macOS 13).
const minMTU, maxMTU = 1500, 65535

var validSerial = regexp.MustCompile(`^[A-Za-z0-9-]{1,20}$`)

// newPlan checks a configuration against what this host allows.
func newPlan(c vm.Config, l limits) (plan, error) {
	p := plan{
		kernel:  c.Kernel,
		cmdline: strings.Join(append([]string{consoleArgument, "quiet", "reboot=t", "panic=-1"}, c.Cmdline...), " "),
		cpus:    uint(c.CPUs), memory: uint64(c.Memory), disks: c.Disks, nics: c.NICs, shares: c.Shares,
	}
	err := errors.Join(checkKernel(c.Kernel, runtime.GOARCH), checkSize(c, l), checkDisks(c.Disks), checkNICs(c.NICs), vm.CheckShares(c.Shares))
	if err != nil {
		return plan{}, fmt.Errorf("machine %s: %w", c.Name, err)
	}
	return p, nil
}

func checkSize(c vm.Config, l limits) error {
	var errs []error
	if c.CPUs < l.minCPUs || c.CPUs > l.maxCPUs {
		errs = append(errs, fmt.Errorf("%d cpus: this Mac allows %d to %d", c.CPUs, l.minCPUs, l.maxCPUs))
	}
	if c.Memory%mebibyte != 0 {
		errs = append(errs, fmt.Errorf("%d bytes of memory: use whole MiB", c.Memory))
	}
	if c.Memory < l.minMemory || c.Memory > l.maxMemory {
		errs = append(errs, fmt.Errorf("%d MiB of memory: this Mac allows %d to %d", c.Memory/mebibyte, l.minMemory/mebibyte, l.maxMemory/mebibyte))
	}
	return errors.Join(errs...)
}

// arm64Magic is at offset arm64MagicOffset of an uncompressed arm64 kernel
// (Documentation/arch/arm64/booting.rst, section 4). The framework takes no
// other form and says so only by a machine that does nothing.
var arm64Magic = []byte("ARMd")

const arm64MagicOffset = 0x38

func checkKernel(path, goarch string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("kernel: %w", err)
	}
	defer f.Close()
	if goarch != "arm64" {
		return nil
	}
	magic := make([]byte, len(arm64Magic))
	if _, err := f.ReadAt(magic, arm64MagicOffset); err != nil || !bytes.Equal(magic, arm64Magic) {
		return fmt.Errorf("kernel %s is not an uncompressed arm64 Image: build it with kernel/build.sh arm64", path)
	}
	return nil
}

func checkDisks(disks []vm.Disk) error {
	for _, d := range disks {
		if !validSerial.MatchString(d.Serial) {
			return fmt.Errorf("disk %s: serial %q: use 1 to 20 letters, digits or dashes", d.Path, d.Serial)
		}
		st, err := os.Stat(d.Path)
		switch {
		case err != nil:
			return fmt.Errorf("disk %s: %w", d.Serial, err)
		case !st.Mode().IsRegular():
			return fmt.Errorf("disk %s: %s is not a regular file", d.Serial, d.Path)
		case st.Size() == 0 || st.Size()%512 != 0:
			return fmt.Errorf("disk %s: %s has %d bytes, which is not a whole number of sectors", d.Serial, d.Path, st.Size())
		}
	}
	return nil
}

func checkNICs(nics []vm.NIC) error {
	for i, n := range nics {
		// The framework answers a bad address with nil, and the use of that
		// with a crash.
		if len(n.MAC) != 6 || n.MAC[0]&1 != 0 {
			return fmt.Errorf("network interface %d: %q is not a unicast Ethernet address", i, n.MAC)
		}
		if n.MTU < minMTU || n.MTU > maxMTU {
			return fmt.Errorf("network interface %d: MTU %d: use %d to %d", i, n.MTU, minMTU, maxMTU)
		}
		if n.File == nil {
			return fmt.Errorf("network interface %d has no socket", i)
		}
	}
	return nil
}
