//go:build linux && (amd64 || arm64)

// Package kvm finds out whether virtual machines really run on this host's KVM,
// by running one of a few instructions.
package kvm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests of the KVM API (Linux, Documentation/virt/kvm/api.rst).
const (
	reqGetAPIVersion       = 0xae00
	reqCreateVM            = 0xae01
	reqGetVCPUMmapSize     = 0xae04
	reqCreateVCPU          = 0xae41
	reqSetUserMemoryRegion = 0x4020ae46
	reqRun                 = 0xae80

	apiVersion = 12
)

// Offsets in struct kvm_run.
const (
	runImmediateExit = 1
	runExitReason    = 8
)

// probeTimeout bounds how long the virtual CPU may take for its few
// instructions.
const probeTimeout = time.Second

// memoryRegion is struct kvm_userspace_memory_region.
type memoryRegion struct {
	slot, flags      uint32
	guest, size, own uint64
}

// Probe lets a virtual CPU run a few instructions. /dev/kvm may be there, and
// even yield a virtual machine, where none runs: in containers and in virtual
// machines without nested virtualization.
func Probe() error {
	kvm, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("/dev/kvm does not exist: the host has no hardware virtualization, or its module is not loaded")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("/dev/kvm may not be opened: add the user to the group kvm")
	case err != nil:
		return err
	}
	defer kvm.Close()
	if v, err := ioctl(int(kvm.Fd()), reqGetAPIVersion, 0); err != nil || v != apiVersion {
		return fmt.Errorf("/dev/kvm does not speak version %d of its API (%d, %v)", apiVersion, v, err)
	}
	machine, err := ioctl(int(kvm.Fd()), reqCreateVM, 0)
	if err != nil {
		return fmt.Errorf("/dev/kvm makes no virtual machine: %w", err)
	}
	defer unix.Close(machine)
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("map a page for a virtual machine: %w", err)
	}
	defer unix.Munmap(page)
	copy(page[probeOffset:], probeProgram)
	region := memoryRegion{guest: probePage, size: uint64(len(page)), own: uint64(uintptr(unsafe.Pointer(&page[0])))}
	if _, err := ioctlPointer(machine, reqSetUserMemoryRegion, unsafe.Pointer(&region)); err != nil {
		return fmt.Errorf("/dev/kvm gives a virtual machine no memory: %w", err)
	}
	vcpu, err := ioctl(machine, reqCreateVCPU, 0)
	if err != nil {
		return fmt.Errorf("/dev/kvm makes no virtual CPU: %w", err)
	}
	defer unix.Close(vcpu)
	if err := probePrepare(machine, vcpu); err != nil {
		return fmt.Errorf("/dev/kvm does not set up a virtual CPU: %w", err)
	}
	size, err := ioctl(int(kvm.Fd()), reqGetVCPUMmapSize, 0)
	if err != nil {
		return fmt.Errorf("/dev/kvm does not say how large a virtual CPU's state is: %w", err)
	}
	return probeRun(vcpu, size)
}

// probeRun runs the virtual CPU until it leaves the program.
func probeRun(vcpu, size int) error {
	state, err := unix.Mmap(vcpu, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map the state of a virtual CPU: %w", err)
	}
	defer unix.Munmap(state)
	runtime.LockOSThread() // for the signal that ends a run which does not end
	defer runtime.UnlockOSThread()
	pid, tid := unix.Getpid(), unix.Gettid()
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-done:
		case <-time.After(probeTimeout):
			state[runImmediateExit] = 1
			unix.Tgkill(pid, tid, unix.SIGURG) // the Go runtime ignores a stray one
		}
	}()
	defer func() { close(done); <-ended }()
	deadline := time.Now().Add(probeTimeout)
	for {
		_, err := ioctl(vcpu, reqRun, 0)
		if err == unix.EINTR && time.Now().Before(deadline) {
			continue
		}
		if err != nil {
			return fmt.Errorf("a virtual CPU of /dev/kvm does not run: %w", err)
		}
		reason := *(*uint32)(unsafe.Pointer(&state[runExitReason]))
		if reason != probeExit {
			return fmt.Errorf("a virtual CPU of /dev/kvm does not run: it left with reason %d instead of %d", reason, probeExit)
		}
		return nil
	}
}

func ioctl(fd int, request, argument uintptr) (int, error) {
	r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, argument)
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}

func ioctlPointer(fd int, request uintptr, argument unsafe.Pointer) (int, error) {
	r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(argument))
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}
