package vz

import (
	"errors"
	"fmt"
	"os"

	"github.com/Code-Hex/vz/v3"

	"github.com/skerry-app/skerry/engine/vm"
)

// configure turns a plan into the framework's configuration. The files that it
// returns must stay reachable as long as the machine: the framework uses their
// descriptors without duplicating them, and a collected os.File closes its own.
func configure(p plan, identity *vz.GenericMachineIdentifier) (config *vz.VirtualMachineConfiguration, console *os.File, held []*os.File, links []*attachment, err error) {
	defer func() {
		if err != nil {
			closeAll(append(held, console))
			console, held = nil, nil
		}
	}()
	loader, err := vz.NewLinuxBootLoader(p.kernel, vz.WithCommandLine(p.cmdline))
	if err != nil {
		return nil, nil, nil, nil, fmt.Errorf("boot loader: %w", explain(err))
	}
	if config, err = vz.NewVirtualMachineConfiguration(loader, p.cpus, p.memory); err != nil {
		return nil, nil, nil, nil, explain(err)
	}
	platform, err := vz.NewGenericPlatformConfiguration(vz.WithGenericMachineIdentifier(identity))
	if err != nil {
		return nil, nil, nil, nil, explain(err)
	}
	if p.nested {
		if err := platform.SetNestedVirtualizationEnabled(true); err != nil {
			return nil, nil, nil, nil, fmt.Errorf("machines inside the machine: %w", explain(err))
		}
	}
	config.SetPlatformVirtualMachineConfiguration(platform)
	disks, links, err := newDisks(p.disks)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	config.SetStorageDevicesVirtualMachineConfiguration(disks)
	if held, err = addNICs(config, p.nics); err != nil {
		return nil, nil, held, nil, err
	}
	console, theirs, err := addConsole(config)
	held = append(held, theirs...)
	if err != nil {
		return nil, console, held, nil, err
	}
	if err := addSocketAndEntropy(config); err != nil {
		return nil, console, held, nil, err
	}
	if err := addShares(config, p); err != nil {
		return nil, console, held, nil, err
	}
	if err := validate(config); err != nil {
		return nil, console, held, nil, err
	}
	return config, console, held, links, nil
}

// newIdentity returns a machine's identity: a new one, or that of a saved machine.
func newIdentity(saved []byte) (*vz.GenericMachineIdentifier, error) {
	if saved == nil {
		return vz.NewGenericMachineIdentifier()
	}
	return vz.NewGenericMachineIdentifierWithData(saved)
}

// newDisks makes virtio disks, and returns what follows those that are network
// block devices.
func newDisks(disks []vm.Disk) (devices []vz.StorageDeviceConfiguration, links []*attachment, err error) {
	for _, d := range disks {
		attached, link, err := attach(d)
		if err != nil {
			return nil, nil, fmt.Errorf("disk %q: %s: %w", d.Serial, d.Path+d.URL, explain(err))
		}
		device, err := vz.NewVirtioBlockDeviceConfiguration(attached)
		if err != nil {
			return nil, nil, fmt.Errorf("disk %q: %w", d.Serial, explain(err))
		}
		if err := device.SetBlockDeviceIdentifier(d.Serial); err != nil {
			return nil, nil, fmt.Errorf("disk %q: its serial: %w", d.Serial, explain(err))
		}
		devices = append(devices, device)
		if link != nil {
			links = append(links, link)
		}
	}
	return devices, links, nil
}

// attach makes a disk's attachment; link follows that of a network block device,
// and is nil for a file. Cached together with fsync is the only pair that neither
// corrupts ext4 on Apple silicon (as "automatic" does, utmapp/UTM#4840 and
// lima-vm/lima#1957) nor flushes the drive's own cache at every barrier.
func attach(d vm.Disk) (attached vz.StorageDeviceAttachment, link *attachment, err error) {
	if d.URL == "" {
		attached, err = vz.NewDiskImageStorageDeviceAttachmentWithCacheAndSync(d.Path, d.ReadOnly,
			vz.DiskImageCachingModeCached, vz.DiskImageSynchronizationModeFsync)
		return attached, nil, err
	}
	if link, err = attachNBD(d); err != nil {
		return nil, nil, err
	}
	return link.nbd, link, nil
}

func addNICs(config *vz.VirtualMachineConfiguration, nics []vm.NIC) (held []*os.File, err error) {
	var devices []*vz.VirtioNetworkDeviceConfiguration
	for i, n := range nics {
		device, file, err := newNIC(n)
		if file != nil {
			held = append(held, file)
		}
		if err != nil {
			return held, fmt.Errorf("network interface %d: %w", i, explain(err))
		}
		address, err := vz.NewMACAddress(n.MAC)
		if err != nil {
			return held, fmt.Errorf("network interface %d: address %s: %w", i, n.MAC, explain(err))
		}
		device.SetMACAddress(address)
		devices = append(devices, device)
	}
	config.SetNetworkDevicesVirtualMachineConfiguration(devices)
	return held, nil
}

// newNIC returns an interface, and the file that the framework uses for it. One on
// vmnet's network has the host's NAT first, since vz makes none without.
func newNIC(n vm.NIC) (*vz.VirtioNetworkDeviceConfiguration, *os.File, error) {
	if n.Host != "" {
		attachment, err := vz.NewNATNetworkDeviceAttachment()
		if err != nil {
			return nil, nil, err
		}
		device, err := vz.NewVirtioNetworkDeviceConfiguration(attachment)
		if err == nil && n.Host == vm.Vmnet {
			err = attachVmnet(device)
		}
		return device, nil, err
	}
	file, err := duplicate(n.File)
	if err != nil {
		return nil, nil, err
	}
	attachment, err := vz.NewFileHandleNetworkDeviceAttachment(file)
	if err != nil {
		return nil, file, err
	}
	if err := attachment.SetMaximumTransmissionUnit(n.MTU); err != nil {
		return nil, file, fmt.Errorf("MTU %d: %w", n.MTU, err)
	}
	device, err := vz.NewVirtioNetworkDeviceConfiguration(attachment)
	return device, file, err
}

// addConsole adds a serial port whose output can be read from console. The
// framework's own file attachment would grow without bound.
func addConsole(config *vz.VirtualMachineConfiguration) (console *os.File, held []*os.File, err error) {
	console, output, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("console: %w", err)
	}
	input, err := os.Open(os.DevNull)
	if err != nil {
		return console, []*os.File{output}, fmt.Errorf("console: %w", err)
	}
	held = []*os.File{input, output}
	attachment, err := vz.NewFileHandleSerialPortAttachment(input, output)
	if err != nil {
		return console, held, fmt.Errorf("console: %w", explain(err))
	}
	port, err := vz.NewVirtioConsoleDeviceSerialPortConfiguration(attachment)
	if err != nil {
		return console, held, fmt.Errorf("console: %w", explain(err))
	}
	config.SetSerialPortsVirtualMachineConfiguration([]*vz.VirtioConsoleDeviceSerialPortConfiguration{port})
	return console, held, nil
}

func addSocketAndEntropy(config *vz.VirtualMachineConfiguration) error {
	socket, err := vz.NewVirtioSocketDeviceConfiguration()
	if err != nil {
		return fmt.Errorf("vsock: %w", explain(err))
	}
	config.SetSocketDevicesVirtualMachineConfiguration([]vz.SocketDeviceConfiguration{socket})
	entropy, err := vz.NewVirtioEntropyDeviceConfiguration()
	if err != nil {
		return fmt.Errorf("entropy: %w", explain(err))
	}
	config.SetEntropyDevicesVirtualMachineConfiguration([]*vz.VirtioEntropyDeviceConfiguration{entropy})
	return nil
}

// addShares adds one device for all shared directories, and one with Rosetta.
func addShares(config *vz.VirtualMachineConfiguration, p plan) error {
	var devices []vz.DirectorySharingDeviceConfiguration
	if len(p.shares) > 0 {
		device, err := newShares(p.shares)
		if err != nil {
			return err
		}
		devices = append(devices, device)
	}
	if p.rosetta {
		device, err := newRosetta(p.cache)
		if err != nil {
			return err
		}
		devices = append(devices, device)
	}
	config.SetDirectorySharingDevicesVirtualMachineConfiguration(devices)
	return nil
}

// newShares returns a device with directories under their names. The framework
// shows the guest all of a directory of which it needs one file.
func newShares(shares []vm.Share) (vz.DirectorySharingDeviceConfiguration, error) {
	directories := map[string]*vz.SharedDirectory{}
	for _, s := range shares {
		directory, err := vz.NewSharedDirectory(s.Path, s.ReadOnly)
		if err != nil {
			return nil, fmt.Errorf("share %s: %w", s.Path, explain(err))
		}
		directories[s.Name] = directory
	}
	share, err := vz.NewMultipleDirectoryShare(directories)
	if err != nil {
		return nil, fmt.Errorf("share directories: %w", explain(err))
	}
	device, err := vz.NewVirtioFileSystemDeviceConfiguration(vm.ShareTag)
	if err != nil {
		return nil, fmt.Errorf("share directories: %w", explain(err))
	}
	device.SetDirectoryShare(share)
	return device, nil
}

// validate has the framework look at a configuration. This is where it notices
// that the entitlement is missing.
func validate(config *vz.VirtualMachineConfiguration) error {
	ok, err := config.Validate()
	if err == nil && !ok {
		err = errors.New("it does not say why")
	}
	if err != nil {
		return fmt.Errorf("the framework refuses the configuration: %w", explain(err))
	}
	return nil
}

// probe asks the framework whether this process may make machines. The kernel
// is never read: validation comes before that.
func probe() error {
	loader, err := vz.NewLinuxBootLoader(os.DevNull)
	if err != nil {
		return explain(err)
	}
	h := thisHost()
	config, err := vz.NewVirtualMachineConfiguration(loader, uint(h.minCPUs), uint64(h.minMemory))
	if err != nil {
		return explain(err)
	}
	return validate(config)
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
