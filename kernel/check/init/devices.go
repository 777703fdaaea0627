//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

var devices = []probe{
	{"virtio drivers bound", virtioDrivers},
	{"hvc0", exists("/dev/hvc0")},
	{"ptys", openPty},
	{"random numbers from the host", contains("/sys/class/misc/hw_random/rng_current", "virtio_rng")},
	{"PCI hot plug slot", slot},
	{"clock is past 2020", clock},
	{"crc32c by instruction", crc32c},
	{"loop devices on demand", exists("/dev/loop-control")},
}

// virtioDrivers asks that every virtio device on the bus has found its driver.
func virtioDrivers() error {
	// check/main.go plugs these.
	wanted := map[string]bool{"virtio_blk": true, "virtio_net": true, "9pnet_virtio": true, "virtio_rng": true,
		"virtio_balloon": true, "virtio_console": true}
	links, err := filepath.Glob("/sys/bus/virtio/devices/*/driver")
	if err != nil {
		return err
	}
	for _, link := range links {
		driver, err := os.Readlink(link)
		if err != nil {
			return err
		}
		delete(wanted, filepath.Base(driver))
	}
	if len(wanted) > 0 {
		return fmt.Errorf("no device bound to %v", wanted)
	}
	return nil
}

func exists(path string) func() error {
	return func() error {
		_, err := os.Stat(path)
		return err
	}
}

// contains asks that a file contains a text.
func contains(path, text string) func() error {
	return func() error {
		have, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !strings.Contains(string(have), text) {
			return fmt.Errorf("%s is %q, without %q", path, have, text)
		}
		return nil
	}
}

func openPty() error {
	pty, err := os.OpenFile("/dev/pts/ptmx", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return pty.Close()
}

func slot() error {
	slots, err := filepath.Glob("/sys/bus/pci/slots/*")
	if err == nil && len(slots) == 0 {
		err = fmt.Errorf("/sys/bus/pci/slots is empty")
	}
	return err
}

func clock() error {
	if now := time.Now(); now.Year() < 2020 {
		return fmt.Errorf("it is %s", now)
	}
	return nil
}

// crc32c: on arm64 the generic driver of 6.12 calls a library function that uses the instruction.
func crc32c() error {
	driver := "crc32c-intel"
	if runtime.GOARCH == "arm64" {
		driver = "crc32c-generic"
	}
	return mentions("/proc/crypto", "crc32c", driver)
}
