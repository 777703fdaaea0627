//go:build linux

// Bench compares the boot time of Skerry's kernel with that of another configuration of the same source.
//
//	PEER_CONFIG=apple-x86_64.config go run ./kernel/bench [-arch ARCH] [-n ROUNDS] [-append ARGS]
//
// Both kernels are built by kernel/build.sh and boot in turn, under the same QEMU with the same flags, to an init
// that says hello and powers off. A boot's time is from QEMU's start to that hello. Turn by turn is what makes the
// ratio stable on a busy host: both kernels meet the same load.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/skerry-app/skerry/kernel/boot"
)

const (
	// bootTimeout is far beyond the slowest boot under emulation on a busy host.
	bootTimeout = 2 * time.Minute
	// warmUp rounds fill the host's page cache and are not counted.
	warmUp = 1
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	arch := flag.String("arch", hostArch(), "x86_64 or arm64")
	rounds := flag.Int("n", 15, "boots of each kernel")
	appended := flag.String("append", "quiet", "kernel command line of both")
	flag.Parse()
	peerConfig := os.Getenv("PEER_CONFIG")
	if peerConfig == "" || *rounds < 1 || flag.NArg() != 0 {
		return errors.New("set PEER_CONFIG to the kernel configuration to compare with; -n must be positive")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	dir, err := os.MkdirTemp("", "skerry-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	init, err := boot.TinyInit(ctx, *arch)
	if err != nil {
		return err
	}
	ours := boot.Machine{Arch: *arch, Kernel: filepath.Join(dir, "ours"), Init: init, Append: *appended}
	peer := ours
	peer.Kernel = filepath.Join(dir, "peer")
	if err := build(ctx, *arch, ours.Kernel); err != nil {
		return err
	}
	if err := buildPeer(ctx, *arch, peerConfig, peer.Kernel, dir); err != nil {
		return err
	}
	return compare(ctx, ours, peer, *rounds)
}

// compare boots both machines in turn and prints the medians and their ratio.
func compare(ctx context.Context, ours, peer boot.Machine, rounds int) error {
	var oursTimes, peerTimes []time.Duration
	for round := range warmUp + rounds {
		o, err := bootTime(ctx, ours)
		if err != nil {
			return err
		}
		p, err := bootTime(ctx, peer)
		if err != nil {
			return err
		}
		if round >= warmUp {
			oursTimes, peerTimes = append(oursTimes, o), append(peerTimes, p)
		}
	}
	o, p := median(oursTimes), median(peerTimes)
	fmt.Printf("ours %v, peer %v, ratio %.3f (%s, medians of %d boots to init, %q)\n",
		o.Round(time.Millisecond), p.Round(time.Millisecond), float64(o)/float64(p), ours.Arch, rounds, ours.Append)
	return nil
}

// bootTime returns the time from QEMU's start to init's hello.
func bootTime(ctx context.Context, m boot.Machine) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	start := time.Now()
	var took time.Duration
	var last string
	err := m.Run(ctx, func(line string) {
		if line == boot.Hello {
			took = time.Since(start)
		}
		last = line
	})
	if err != nil {
		return 0, err
	}
	if took == 0 {
		return 0, fmt.Errorf("%s powered off without reaching init; its last line was %q", m.Kernel, last)
	}
	return took, nil
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// buildPeer builds the other configuration. Without a PVH entry point QEMU cannot start a vmlinux; a configuration
// that lacks it gets it, so that both kernels boot the same way.
func buildPeer(ctx context.Context, arch, config, kernel, dir string) error {
	text, err := os.ReadFile(config)
	if err != nil {
		return fmt.Errorf("read PEER_CONFIG: %w", err)
	}
	if arch == "x86_64" {
		text = append(text, "\nCONFIG_HYPERVISOR_GUEST=y\nCONFIG_PVH=y\n"...)
	}
	bootable := filepath.Join(dir, "peer.config")
	if err := os.WriteFile(bootable, text, 0o600); err != nil {
		return err
	}
	return build(ctx, arch, kernel, "-c", bootable)
}

// build runs kernel/build.sh, which finds kernels that it built before.
func build(ctx context.Context, arch, kernel string, options ...string) error {
	module, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("find the module, run this inside it: %w", err)
	}
	script := filepath.Join(string(bytes.TrimSpace(module)), "kernel", "build.sh")
	cmd := exec.CommandContext(ctx, script, append(options, arch, kernel)...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", script, err)
	}
	return nil
}

func hostArch() string {
	if runtime.GOARCH == "arm64" {
		return "arm64"
	}
	return "x86_64"
}
