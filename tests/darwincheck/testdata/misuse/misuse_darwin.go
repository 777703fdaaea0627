// Package misuse gets the API of vz wrong in ways that only a check
// for darwin can see. Every line that must be reported ends in a WANT comment.
package misuse

import "github.com/Code-Hex/vz/v3"

func boot(cpus uint, memory uint64) error {
	bl, err := vz.NewLinuxBootLoader("vmlinux", vz.WithCommandLine("console=hvc0"))
	if err != nil {
		return err
	}
	c, err := vz.NewVirtualMachineConfiguration(bl, memory, cpus) // WANT cannot use memory
	if err != nil {
		return err
	}
	vm, err := vz.NewVirtualMachine(c)
	if err != nil {
		return err
	}
	conn := vm.SocketDevices()[0].Connect(1024) // WANT assignment mismatch
	conn.CloseWrite()
	if err := vm.Suspend(); err != nil { // WANT vm.Suspend undefined
		return err
	}
	return vm.Start()
}

func disk() {
	vz.NewDiskImageStorageDeviceAttachmentWithCacheAndSync("d.img", false,
		vz.DiskImageCachingModeCached, vz.DiskSynchronizationModeFull) // WANT cannot use vz.DiskSynchronizationModeFull
}
