//go:build linux

package kvm

import "unsafe"

// An arm64 virtual CPU begins at address 0, where it finds
//
//	movz x0, #0x4000, lsl #16
//	str  x0, [x0]
//
// a store to where no memory is.
const (
	probePage   = 0
	probeOffset = 0
	probeExit   = 6 // KVM_EXIT_MMIO
)

var probeProgram = []byte{
	0x00, 0x00, 0xa8, 0xd2,
	0x00, 0x00, 0x00, 0xf9,
}

const (
	reqARMVCPUInit        = 0x4020aeae
	reqARMPreferredTarget = 0x8020aeaf
)

// probePrepare gives the virtual CPU the host's own type (struct kvm_vcpu_init).
func probePrepare(machine, vcpu int) error {
	var init [8]uint32
	if _, err := ioctlPointer(machine, reqARMPreferredTarget, unsafe.Pointer(&init)); err != nil {
		return err
	}
	_, err := ioctlPointer(vcpu, reqARMVCPUInit, unsafe.Pointer(&init))
	return err
}
