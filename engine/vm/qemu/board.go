//go:build linux

package qemu

import (
	"os"
	"path/filepath"
)

// board is what differs between the architectures of guests.
type board struct {
	arch     string // as in GOARCH
	binary   string // QEMU's name
	debian   string // the package that has it
	machine  string // -M, without what every board has in common
	firmware string // a faster firmware than the default one, if QEMU has it
	console  string // what the kernel calls the serial port
	cpu      cpus
	tcg      []string
	tcgUP    []string // kernel parameters under TCG, and with one CPU
	maxCPUs  int
	check    func(*os.File) error // of the kernel
}

// cpus are the models of virtual CPU (-cpu) by accelerator. Those that nest have
// hardware virtualization of their own; an empty one cannot be had.
type cpus struct {
	kvm, kvmNested string
	tcg, tcgNested string
	// nestedMachine is added to -M for a machine that nests.
	nestedMachine string
}

// model is what -cpu is given; empty if there is none that nests.
func (c *cpus) model(accel string, nested bool) string {
	switch {
	case accel == accelKVM && nested:
		return c.kvmNested
	case accel == accelKVM:
		return c.kvm
	case nested:
		return c.tcgNested
	}
	return c.tcg
}

var boards = map[string]board{
	"amd64": {
		arch:   "amd64",
		binary: "qemu-system-x86_64",
		debian: "qemu-system-x86",
		// q35 without the devices that no guest of ours uses: each costs the
		// kernel a probe.
		machine:  "q35,smm=off,sata=off,smbus=off,usb=off,vmport=off",
		firmware: "qboot.rom",
		console:  "ttyS0",
		// erms makes the kernel copy with REP MOVSB, which TCG runs a byte at a
		// time: copies take up to three times as long. TCG emulates AMD's
		// virtualization (SVM). That and Intel's (VMX) stay off unless asked for:
		// a guest's kernel switches them on when it boots.
		cpu: cpus{kvm: "host,-vmx,-svm", kvmNested: "host", tcg: "max,-erms,-svm", tcgNested: "max,-erms"},
		// A translated guest gains nothing from patching itself for the number
		// of CPUs or from mitigations, and pays for both when it boots.
		tcg: []string{"noreplace-smp", "mitigations=off"},
		// The local timer is calibrated for 100 ms against another one; a
		// guest with one CPU does as well with that other one. ACPI's tables
		// are a program that takes another 100 ms to interpret; with one CPU
		// and everything on PCI they tell nothing new. Such a machine ends by
		// a reset: it cannot switch itself off.
		tcgUP:   []string{"nolapic_timer", "acpi=off"},
		maxCPUs: 64,
		check:   checkPVH,
	},
	"arm64": {
		arch:    "arm64",
		binary:  "qemu-system-aarch64",
		debian:  "qemu-system-arm",
		machine: "virt,gic-version=max",
		console: "ttyAMA0",
		// The architected algorithm for pointer authentication is slow to
		// translate.
		cpu: cpus{kvm: "host", tcg: "max,pauth-impdef=on", tcgNested: "max,pauth-impdef=on",
			nestedMachine: ",virtualization=on"}, // the kernel starts at EL2
		maxCPUs: 64,
		check:   checkImage,
	},
}

// findFirmware looks where QEMU does: in the data directories that belong to
// its binary. It returns an empty path if the file is nowhere.
func findFirmware(binary, name string) string {
	if real, err := filepath.EvalSymlinks(binary); err == nil {
		binary = real
	}
	prefix := filepath.Dir(filepath.Dir(binary))
	for _, dir := range []string{"share/qemu", "share/seabios", "share/qemu-kvm"} {
		path := filepath.Join(prefix, dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}
