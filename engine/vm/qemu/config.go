//go:build linux

package qemu

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/engine/nbd"
	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/engine/vm/kvm"
)

const (
	mebibyte = 1 << 20
	// minMemory is what a kernel with an empty initial process still boots in.
	minMemory = 64 * mebibyte
	// sectorSize is the unit of a virtio disk's capacity.
	sectorSize = 512
	// minMTU and maxMTU bound what the device can announce (virtio 1.2,
	// section 5.1.4.1).
	minMTU, maxMTU = 68, 65535
)

var serialPattern = regexp.MustCompile(`^[A-Za-z0-9-]{1,20}$`)

// checkConfig finds what this host or driver cannot serve.
func (d *Driver) checkConfig(c *vm.Config) error {
	if c.CPUs < 1 || c.CPUs > d.board.maxCPUs {
		return fmt.Errorf("%d CPUs: use 1 to %d", c.CPUs, d.board.maxCPUs)
	}
	if c.Memory < minMemory {
		return fmt.Errorf("%d bytes of memory: use at least %d MiB", c.Memory, minMemory/mebibyte)
	}
	if c.Memory%mebibyte != 0 {
		return fmt.Errorf("%d bytes of memory: use a multiple of 1 MiB", c.Memory)
	}
	if c.Restore != "" {
		return fmt.Errorf("%w, and none was that could be restored from %s", vm.ErrNotSavable, c.Restore)
	}
	if c.Rosetta || c.RosettaCache != "" {
		return errors.New("only macOS has Rosetta")
	}
	if c.Nested {
		if err := d.checkNested(); err != nil {
			return err
		}
	}
	if !filepath.IsAbs(c.Kernel) {
		return fmt.Errorf("kernel %q: use an absolute path", c.Kernel)
	}
	if err := vm.CheckShares(c.Shares); err != nil {
		return err
	}
	return d.board.checkKernel(c.Kernel)
}

// checkNested says what keeps machines from running machines of their own.
func (d *Driver) checkNested() error {
	accel, _ := d.accelerator()
	if d.board.cpu.model(accel, true) == "" {
		return fmt.Errorf("machines inside a machine: QEMU cannot have them on KVM of %s", d.board.arch)
	}
	if accel != accelKVM {
		return nil
	}
	return kvm.CheckNested()
}

// backing is what a disk's sectors are in.
type backing struct {
	file *os.File // nil: a network block device
	nbd  nbd.Address
}

// openDisks opens the disk images; QEMU gets the descriptors. It connects to
// network block devices itself.
func openDisks(disks []vm.Disk) (opened []backing, err error) {
	defer func() {
		if err != nil {
			closeDisks(opened)
		}
	}()
	for i, disk := range disks {
		var b backing
		if !serialPattern.MatchString(disk.Serial) {
			return opened, fmt.Errorf("disk %d: serial %q of %s: use 1 to 20 letters, digits or dashes", i, disk.Serial, disk.Path+disk.URL)
		}
		if disk.URL != "" {
			b.nbd, err = parseNBD(disk)
		} else {
			b.file, err = openDisk(disk)
		}
		if err != nil {
			return opened, fmt.Errorf("disk %q: %w", disk.Serial, err)
		}
		opened = append(opened, b)
	}
	return opened, nil
}

func closeDisks(disks []backing) {
	for _, d := range disks {
		if d.file != nil {
			d.file.Close()
		}
	}
}

func openDisk(disk vm.Disk) (*os.File, error) {
	mode := os.O_RDWR
	if disk.ReadOnly {
		mode = os.O_RDONLY
	}
	// A fifo in the image's place would keep a blocking open waiting.
	f, err := os.OpenFile(disk.Path, mode|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is not a regular file", disk.Path)
	case info.Size() == 0 || info.Size()%sectorSize != 0:
		err = fmt.Errorf("%s has %d bytes: a disk image is a multiple of %d bytes", disk.Path, info.Size(), sectorSize)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// openNICs duplicates the machine's ends of its network interfaces.
func openNICs(nics []vm.NIC) (files []*os.File, err error) {
	defer func() {
		if err != nil {
			closeFiles(files)
		}
	}()
	for i, nic := range nics {
		f, err := openNIC(nic)
		if err != nil {
			return files, fmt.Errorf("network interface %d: %w", i, err)
		}
		files = append(files, f)
	}
	return files, nil
}

// openNIC returns no file for an interface on QEMU's own network.
func openNIC(nic vm.NIC) (*os.File, error) {
	if nic.Host == vm.Vmnet {
		return nil, errors.New("vmnet is a network of macOS: use nat")
	}
	if nic.Host != "" {
		return nil, vm.CheckHostNIC(nic)
	}
	if err := vm.CheckMAC(nic.MAC); err != nil {
		return nil, err
	}
	if nic.MTU < minMTU || nic.MTU > maxMTU {
		return nil, fmt.Errorf("MTU %d: use %d to %d", nic.MTU, minMTU, maxMTU)
	}
	if nic.File == nil {
		return nil, errors.New("it has no socket")
	}
	conn, err := nic.File.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("use its socket: %w", err)
	}
	var dup, kind int
	var dupErr, kindErr error
	err = conn.Control(func(fd uintptr) {
		kind, kindErr = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TYPE)
		dup, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, dupErr); err != nil {
		return nil, fmt.Errorf("duplicate its socket: %w", err)
	}
	f := os.NewFile(uintptr(dup), nic.File.Name())
	if kindErr != nil || kind != unix.SOCK_DGRAM {
		f.Close()
		return nil, errors.New("its file is not a datagram socket")
	}
	return f, nil
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
