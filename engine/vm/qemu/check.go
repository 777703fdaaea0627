//go:build linux

package qemu

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"github.com/skerry-app/skerry/engine/vm"
)

// The oldest QEMU that takes a network socket as a descriptor (-netdev dgram).
const minMajor, minMinor = 7, 2

// lowMemory is the memory below which a host runs next to no machine.
const lowMemory = 512 * mebibyte

// Check implements vm.Driver.
func (d *Driver) Check(ctx context.Context) []vm.Finding {
	return []vm.Finding{d.checkBinary(ctx), d.checkAccelerator(), d.checkFirmware(), checkMemory("/proc/meminfo")}
}

var versionPattern = regexp.MustCompile(`version ((\d+)\.(\d+)[^\s]*)`)

func (d *Driver) checkBinary(ctx context.Context) vm.Finding {
	f := vm.Finding{Subject: d.binary}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, d.binary, "--version").Output()
	version := versionPattern.FindSubmatch(out)
	if err != nil || version == nil {
		f.Detail = fmt.Sprintf("does not say its version: %v", err)
		f.Fix = "reinstall it (Debian: apt install --reinstall " + d.board.debian + ")"
		return f
	}
	f.Detail = "version " + string(version[1])
	major, _ := strconv.Atoi(string(version[2]))
	minor, _ := strconv.Atoi(string(version[3]))
	f.OK = major > minMajor || major == minMajor && minor >= minMinor
	if !f.OK {
		f.Fix = fmt.Sprintf("install QEMU %d.%d or newer", minMajor, minMinor)
	}
	return f
}

// checkAccelerator is OK without KVM where KVM cannot be had: for guests of
// another architecture, and where TCG was asked for.
func (d *Driver) checkAccelerator() vm.Finding {
	accel, reason := d.accelerator()
	f := vm.Finding{Subject: "/dev/kvm", OK: true, Detail: fmt.Sprintf("machines run on %s: %s", strings.ToUpper(accel), reason)}
	if accel == accelTCG && !d.forced && d.board.arch == runtime.GOARCH {
		f.OK = false
		f.Fix = "machines work without KVM, several times slower; for speed use a host with hardware virtualization and access to /dev/kvm"
	}
	return f
}

func (d *Driver) checkFirmware() vm.Finding {
	f := vm.Finding{OK: true, Subject: "firmware", Detail: "QEMU's default"}
	switch {
	case d.firmware != "":
		f.Detail = d.firmware
	case d.board.firmware != "":
		f.OK = false
		f.Detail = d.board.firmware + " is not installed: machines boot more slowly"
		f.Fix = "install it (Debian: apt install qemu-system-data)"
	}
	return f
}

func checkMemory(meminfo string) vm.Finding {
	f := vm.Finding{Subject: "memory"}
	data, err := os.ReadFile(meminfo)
	if err != nil {
		f.Detail, f.Fix = err.Error(), "mount /proc"
		return f
	}
	available := int64(-1)
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err == nil {
				available = kib << 10
			}
		}
	}
	f.OK = available >= lowMemory
	f.Detail = fmt.Sprintf("%d MiB available", available/mebibyte)
	if !f.OK {
		f.Fix = fmt.Sprintf("free memory: machines need at least %d MiB", lowMemory/mebibyte)
	}
	return f
}
