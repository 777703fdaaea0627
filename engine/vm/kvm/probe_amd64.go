//go:build linux

package kvm

// An x86 CPU begins in real mode sixteen bytes below 4 GiB, where it finds DAA and
// HLT. Without hardware virtualization some kernels still offer /dev/kvm (pvm) and
// interpret what they cannot run; HLT alone would pass there, and Linux get
// stuck in the middle of its start. KVM's interpreter does not know DAA
// (arch/x86/kvm/emulate.c, opcode_table).
const (
	probePage   = 0xfffff000
	probeOffset = 0xff0
	probeExit   = 5 // KVM_EXIT_HLT
)

var probeProgram = []byte{0x27, 0xf4}

// reqSetTSSAddr is needed on Intel CPUs that cannot run real mode by themselves.
const (
	reqSetTSSAddr = 0xae47
	tssAddr       = 0xfffbd000 // below the firmware, where QEMU puts it too
)

func probePrepare(machine, vcpu int) error {
	_, err := ioctl(machine, reqSetTSSAddr, tssAddr)
	return err
}
