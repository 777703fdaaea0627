//go:build linux

// Check boots a kernel under QEMU with an init that looks for everything Skerry's guest relies on, and prints
// what it finds. It fails when one thing is missing.
//
//	go run ./kernel/check [-arch ARCH] [-append ARGS] [-v] KERNEL
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/skerry-app/skerry/kernel/boot"
)

const (
	// bootTimeout bounds one boot with its probes, under emulation on a busy host.
	bootTimeout = 3 * time.Minute
	// initPackage is the program that runs in the guest.
	initPackage = "github.com/skerry-app/skerry/kernel/check/init"
	// diskSize of the ext4 disk that the guest mounts, in bytes.
	diskSize = 16 << 20
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
}

func run() error {
	arch := flag.String("arch", defaultArch(), "x86_64 or arm64")
	appended := flag.String("append", "quiet", "kernel command line")
	verbose := flag.Bool("v", false, "print everything on the console")
	flag.Parse()
	if flag.NArg() != 1 {
		return errors.New("usage: check [-arch ARCH] [-append ARGS] [-v] KERNEL")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	dir, err := os.MkdirTemp("", "skerry-check-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	init, err := buildInit(ctx, *arch, dir)
	if err != nil {
		return err
	}
	devices, err := devices(ctx, dir)
	if err != nil {
		return err
	}
	machine := boot.Machine{Arch: *arch, Kernel: flag.Arg(0), Init: init, Append: *appended, Devices: devices}
	return check(ctx, machine, *verbose)
}

// check boots the machine and judges what its init reports: a line "ok WHAT" or "FAIL WHAT: WHY" for every probe,
// and "done" after the last.
func check(ctx context.Context, machine boot.Machine, verbose bool) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	var passed, failed int
	var done bool
	var tail []string
	err := machine.Run(ctx, func(line string) {
		tail = append(tail, line)
		switch {
		case strings.HasPrefix(line, "ok "):
			passed++
		case strings.HasPrefix(line, "FAIL "):
			failed++
			fmt.Println(line)
			return
		case line == "done":
			done = true
		}
		if verbose {
			fmt.Println(line)
		}
	})
	if err == nil && !done {
		err = errors.New("the machine powered off before its init was done")
	}
	if err != nil {
		return fmt.Errorf("%w; the console ended with:\n%s", err, strings.Join(tail[max(0, len(tail)-25):], "\n"))
	}
	if failed > 0 {
		return fmt.Errorf("%s: %d of %d probes failed", machine.Kernel, failed, passed+failed)
	}
	fmt.Printf("%s: all %d probes passed\n", machine.Kernel, passed)
	return nil
}

// buildInit cross-compiles the guest's program and returns the executable.
func buildInit(ctx context.Context, arch, dir string) ([]byte, error) {
	goarch := map[string]string{"x86_64": "amd64", "arm64": "arm64"}[arch]
	output := filepath.Join(dir, "init")
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", output, initPackage)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+goarch)
	if complaints, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the guest's init for %s: %w\n%s", arch, err, complaints)
	}
	return os.ReadFile(output)
}

// devices returns QEMU's arguments for one device of each kind that a Skerry machine has. vsock is not among them:
// its device needs a back end of the engine's; the guest probes its loopback instead.
func devices(ctx context.Context, dir string) ([]string, error) {
	disk := filepath.Join(dir, "disk.ext4")
	mkfs := exec.CommandContext(ctx, "mkfs.ext4", "-q", "-O", "metadata_csum,^64bit,^orphan_file", disk, fmt.Sprint(diskSize>>10))
	if complaints, err := mkfs.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make a disk, is e2fsprogs installed? %w\n%s", err, complaints)
	}
	return []string{
		"-drive", "if=none,id=disk,format=raw,file=" + disk, "-device", "virtio-blk-pci,drive=disk,serial=probe",
		"-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net,romfile=",
		"-fsdev", "local,id=share,security_model=none,path=" + dir, "-device", "virtio-9p-pci,fsdev=share,mount_tag=share",
		"-device", "virtio-rng-pci",
		"-device", "virtio-balloon-pci,free-page-reporting=on",
		"-device", "virtio-serial-pci", "-chardev", "null,id=console", "-device", "virtconsole,chardev=console",
		"-device", "pcie-root-port,id=behind,chassis=1",
	}, nil
}

func defaultArch() string {
	if runtime.GOARCH == "arm64" {
		return "arm64"
	}
	return "x86_64"
}
