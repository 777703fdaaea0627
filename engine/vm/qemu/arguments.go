//go:build linux

package qemu

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/skerry-app/skerry/engine/vm"
)

// arguments is a QEMU command line in the making, with the files that the
// process inherits.
type arguments struct {
	args  []string
	files []*os.File
}

func (a *arguments) add(args ...string) { a.args = append(a.args, args...) }

// inherit passes f to QEMU and returns its descriptor there.
func (a *arguments) inherit(f *os.File) int {
	const first = 3 // after the standard ones (os/exec, Cmd.ExtraFiles)
	a.files = append(a.files, f)
	return first + len(a.files) - 1
}

// channels are QEMU's ends of the sockets between a process and its machine.
type channels struct {
	qmp, console, vsock *os.File
	shares              *os.File // nil where there are none
}

// commandLine describes the machine to QEMU.
func (m *Machine) commandLine(accel string, ends channels) *arguments {
	a := &arguments{}
	b := &m.driver.board
	accelerator, machine := accel, b.machine
	if accel == accelTCG && m.config.CPUs > 1 {
		// With a thread for each virtual CPU one of them may run code that
		// another has just patched in its old form: x86 guests died of a
		// breakpoint that was gone, in one of some twenty boots on QEMU 7.2.
		accelerator += ",thread=single"
	}
	if m.config.Nested {
		machine += b.cpu.nestedMachine
	}
	memory := strconv.FormatInt(m.config.Memory/mebibyte, 10) + "M"
	a.add("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-M", machine+",memory-backend=ram", "-accel", accelerator, "-cpu", b.cpu.model(accel, m.config.Nested),
		"-smp", strconv.Itoa(m.config.CPUs), "-m", memory,
		// Shared with this process, which serves devices.
		"-object", "memory-backend-memfd,id=ram,share=on,size="+memory,
		"-kernel", m.config.Kernel, "-append", strings.Join(m.kernelParameters(accel), " "))
	if m.driver.sandboxed() {
		// A guest that breaks into QEMU finds no way to start programs, gain
		// privileges or change priorities. It costs a millisecond.
		a.add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
	}
	if m.driver.firmware != "" {
		a.add("-bios", m.driver.firmware)
	}
	a.chardev("qmp", ends.qmp)
	a.add("-mon", "chardev=qmp,mode=control")
	a.chardev("console", ends.console)
	a.add("-serial", "chardev:console")
	a.chardev("vsock", ends.vsock)
	a.add("-device", "vhost-user-vsock-pci,disable-legacy=on,chardev=vsock")
	if ends.shares != nil {
		a.chardev("shares", ends.shares)
		// A longer queue lets one request carry more.
		a.add("-device", fmt.Sprintf("vhost-user-fs-pci,chardev=shares,tag=%s,queue-size=%d", vm.ShareTag, shareQueue))
	}
	if accel == accelKVM {
		// For CPUs without a random number generator. Under TCG every guest
		// has one: RDRAND on x86, a seed in the device tree on arm64.
		a.add("-device", "virtio-rng-pci,disable-legacy=on")
	}
	for i := range m.config.Disks {
		a.disk(i, &m.config.Disks[i], m.disks[i])
	}
	for i := range m.config.NICs {
		a.nic(i, &m.config.NICs[i], m.nics[i])
	}
	return a
}

func (a *arguments) chardev(id string, f *os.File) {
	a.add("-chardev", fmt.Sprintf("socket,id=%s,fd=%d", id, a.inherit(f)))
}

// blockdev is QEMU's BlockdevOptions, as far as they are used.
type blockdev struct {
	Driver   string `json:"driver"`
	NodeName string `json:"node-name"`
	Filename string `json:"filename,omitempty"` // of driver file
	ReadOnly bool   `json:"read-only"`
	Discard  string `json:"discard"`
	*nbdOptions
}

// nodeName is what QEMU calls what is behind a machine's disk i.
func nodeName(i int) string { return fmt.Sprintf("disk%d", i) }

// newBlockdev has what is behind a machine's disk i, but for the name of a file.
func newBlockdev(i int, disk *vm.Disk, b backing) blockdev {
	options := blockdev{Driver: "file", NodeName: nodeName(i), ReadOnly: disk.ReadOnly, Discard: "unmap"}
	if b.file == nil {
		options.Driver, options.nbdOptions = "nbd", newNBDOptions(b.nbd)
	}
	return options
}

// disk adds an image. The descriptor of a file goes into a set, which QEMU opens
// under the name /dev/fdset/N; so the name of the image, whatever is in it,
// appears nowhere. The image is read through the host's page cache, where
// machines that share it share the copy as well, and locked against a second
// writer.
func (a *arguments) disk(i int, disk *vm.Disk, b backing) {
	options := newBlockdev(i, disk, b)
	if b.file != nil {
		set := i + 1
		a.add("-add-fd", fmt.Sprintf("fd=%d,set=%d", a.inherit(b.file), set))
		options.Filename = fmt.Sprintf("/dev/fdset/%d", set)
	}
	a.add("-blockdev", options.String())
	// A full host disk is an error that the guest sees; the default would stop
	// the guest until somebody tells QEMU to go on.
	a.add("-device", fmt.Sprintf("virtio-blk-pci,disable-legacy=on,drive=%s,serial=%s,werror=report,rerror=report", nodeName(i), disk.Serial))
}

// String is the options as JSON, out of which no value can break.
func (b blockdev) String() string {
	text, err := json.Marshal(b)
	if err != nil {
		panic(err) // strings, numbers and booleans always encode
	}
	return string(text)
}

func (a *arguments) nic(i int, nic *vm.NIC, f *os.File) {
	id := fmt.Sprintf("net%d", i)
	mtu := ""
	if nic.Host == vm.NAT {
		// IPv6 of QEMU's would be announced to a guest that takes no
		// announcements.
		a.add("-netdev", "user,ipv6=off,id="+id)
	} else {
		a.add("-netdev", fmt.Sprintf("dgram,id=%s,local.type=fd,local.str=%d", id, a.inherit(f)))
		mtu = fmt.Sprintf(",host_mtu=%d", nic.MTU)
	}
	// An empty romfile leaves out the network boot ROM, which would be read,
	// mapped and, where its package is not installed, missed.
	a.add("-device", fmt.Sprintf("virtio-net-pci,disable-legacy=on,romfile=,netdev=%s,mac=%s%s", id, nic.MAC, mtu))
}

// kernelParameters adds what the hypervisor decides to the machine's own
// parameters, which come last and win.
func (m *Machine) kernelParameters(accel string) []string {
	b := &m.driver.board
	// A panic resets at once, by triple fault on x86, and -no-reboot turns
	// that into the end of the process.
	p := []string{"console=" + b.console, "quiet", "panic=-1", "reboot=t"}
	if accel == accelTCG {
		p = append(p, m.driver.clock...)
		p = append(p, b.tcg...)
		if m.config.CPUs == 1 {
			p = append(p, b.tcgUP...)
		}
	}
	return append(p, m.config.Cmdline...)
}
