//go:build linux

// Package boot starts a kernel with a single program as its init under QEMU's emulation, so that the kernel's
// benchmark and check see the same machine that Skerry makes on Linux.
package boot

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// defaultMemory is in MiB.
const defaultMemory = 256

// hostGrace is how long QEMU may take to go away once the context has ended.
const hostGrace = 5 * time.Second

// Machine says what to boot. Devices are further QEMU arguments; Append is added to the kernel's command line.
type Machine struct {
	Arch    string // "x86_64" or "arm64"
	Kernel  string // path of vmlinux or Image
	Init    []byte // a static executable for that architecture
	Append  string
	Memory  int // MiB; 0: 256
	Devices []string
}

// Run boots the machine and calls line with every line of its console, until it powers off. It returns an error when
// QEMU cannot start, ends with an error, or ctx ends first; the machine is gone when Run returns.
func (m Machine) Run(ctx context.Context, line func(string)) error {
	dir, err := os.MkdirTemp("", "skerry-boot-")
	if err != nil {
		return fmt.Errorf("boot %s: %w", m.Kernel, err)
	}
	defer os.RemoveAll(dir)
	initrd := filepath.Join(dir, "initrd")
	if err := os.WriteFile(initrd, Initramfs(m.Init), 0o600); err != nil {
		return fmt.Errorf("boot %s: write its initial RAM disk: %w", m.Kernel, err)
	}
	args, err := m.arguments(initrd)
	if err != nil {
		return err
	}

	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = hostGrace
	var complaints strings.Builder
	cmd.Stderr = &complaints
	console, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("boot %s: %w", m.Kernel, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("boot %s: start %s: %w; install qemu-system-x86 and qemu-system-arm", m.Kernel, args[0], err)
	}
	lines := bufio.NewScanner(console)
	for lines.Scan() {
		line(strings.TrimRight(lines.Text(), "\r"))
	}
	err = errors.Join(lines.Err(), cmd.Wait())
	if ctx.Err() != nil {
		return fmt.Errorf("boot %s: not powered off in time: %w", m.Kernel, ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("boot %s: %w: %s", m.Kernel, err, strings.TrimSpace(complaints.String()))
	}
	return nil
}

// arguments returns QEMU's command line. Emulation only: figures from machines with and without KVM do not mix.
func (m Machine) arguments(initrd string) ([]string, error) {
	var args []string
	var console string
	switch m.Arch {
	case "x86_64":
		// TCG executes `rep movsb` byte by byte: without erms the kernel copies by words.
		args = []string{"qemu-system-x86_64", "-M", "q35,smm=off,sata=off,smbus=off,usb=off,vmport=off",
			"-bios", "qboot.rom", "-cpu", "max,-erms"}
		console = "console=ttyS0"
	case "arm64":
		args = []string{"qemu-system-aarch64", "-M", "virt,gic-version=3", "-cpu", "max,pauth-impdef=on"}
		console = "console=ttyAMA0"
	default:
		return nil, fmt.Errorf("boot %s: unknown architecture %q: x86_64 or arm64", m.Kernel, m.Arch)
	}
	args = append(args, "-accel", "tcg", "-m", strconv.Itoa(cmp.Or(m.Memory, defaultMemory)), "-nodefaults", "-no-user-config", "-no-reboot",
		"-display", "none", "-serial", "stdio", "-kernel", m.Kernel, "-initrd", initrd,
		"-append", strings.TrimSpace(console+" panic=-1 "+m.Append))
	return append(args, m.Devices...), nil
}
