// Package vm says what a virtual machine is: its configuration, the machine
// itself and the driver that makes one. There is no platform in it; the
// packages below it (qemu, vz) each drive one hypervisor, and vmtest holds the
// conformance tests that all of them pass.
package vm

import (
	"context"
	"io"
	"net"
	"os"
)

// HostCID is the context identifier under which a guest reaches its host over
// vsock (VMADDR_CID_HOST, vsock(7)).
const HostCID = 2

// Config describes a machine. It must compile and make sense on every platform.
type Config struct {
	// Name tells machines apart in logs and error messages; by convention the
	// container's ID.
	Name string
	// Kernel is the path of a kernel: on arm64 an uncompressed Image, on x86_64 a
	// vmlinux with a PVH note for QEMU and a bzImage for Virtualization.framework.
	Kernel string
	// Cmdline holds the kernel parameters that do not depend on the
	// hypervisor (root=, init=, ...). A driver adds console and clock itself.
	Cmdline []string
	// CPUs is the number of virtual CPUs, at least 1.
	CPUs int
	// Memory is in bytes and a multiple of 1 MiB.
	Memory int64
	// Disks appear in the guest as virtio block devices, in this order.
	Disks []Disk
	// NICs appear in the guest as eth0, eth1, ... in this order.
	NICs []NIC
	// Shares are directories of the host. They appear in the guest as one
	// virtiofs file system with the tag ShareTag, in which each is a directory
	// under its name. A machine without shares has no such file system.
	Shares []Share
	// Rosetta asks for a virtiofs file system with the tag RosettaTag that has
	// Apple's translator for amd64.
	Rosetta bool
	// RosettaCache, if set, is the path of a unix socket in the guest at which
	// Rosetta looks for what keeps its translations.
	RosettaCache string
	// Nested asks for a processor with hardware virtualization, so that the guest
	// can run machines of its own. Without it the guest finds none.
	Nested bool
	// Restore, if set, is a directory that Machine.Save has made: Start brings that
	// machine back, paused, instead of booting one. All else must be as it was
	// then, above all what is on the disks. Whatever it fails for, the way out is
	// to boot anew.
	Restore string
	// Console receives what the guest prints on its console, from one
	// goroutine. Nil discards it. A slow writer slows the guest's console only.
	Console io.Writer
}

// Disk is a raw disk image: a file of the host, or a network block device.
type Disk struct {
	Path     string
	URL      string // of a network block device, as nbd.Parse takes it; then Path is empty
	ReadOnly bool
	// Serial names the disk inside the guest (/sys/block/*/serial): 1 to 20
	// ASCII letters, digits or dashes (virtio 1.2, section 5.2.6.1).
	Serial string
}

// ShareTag names the file system with the shares inside the guest.
const ShareTag = "shares"

// RosettaTag names the file system with Rosetta inside the guest.
const RosettaTag = "rosetta"

// Share is a directory of the host. What is done to it in the guest is done on
// the host with this process's rights, whoever in the guest does it.
type Share struct {
	// Name is 1 to 255 letters, digits, dashes, dots or underscores, begins with
	// a letter or digit, and tells a machine's shares apart.
	Name string
	Path string
	// File, if set, is all that the guest needs of the directory. A driver that
	// can keeps the rest from it.
	File     string
	ReadOnly bool
}

// NIC is a network interface. Its frames travel over a datagram socket, one
// Ethernet frame a datagram, or it is on a network of the hypervisor's.
type NIC struct {
	MAC net.HardwareAddr
	MTU int // of one with a File; a network of the hypervisor's has its own
	// File is the machine's end of the socket pair. The caller keeps
	// ownership and may close it once Driver.New has returned; the driver
	// duplicates what it keeps.
	File *os.File
	// Host names a network of the hypervisor's. File is nil then.
	Host HostNetwork
}

// HostNetwork is a network that the hypervisor keeps. Guests get their addresses
// there by DHCP, and reach others by the host's address.
type HostNetwork string

// The networks of hypervisors.
const (
	// NAT is there on every system. On macOS the host reaches the guest's address;
	// QEMU's is the guest's alone, and 10.0.2.2 there is the host's loopback.
	NAT HostNetwork = "nat"
	// Vmnet is macOS's own from 26 on: host and guests reach each other.
	Vmnet HostNetwork = "vmnet"
)

// Conn is a vsock stream. CloseWrite ends one direction: the other side reads
// what was written and then EOF.
type Conn interface {
	net.Conn
	CloseRead() error
	CloseWrite() error
}

// Machine is one virtual machine. Its methods may be called from any
// goroutine.
type Machine interface {
	// Start boots the machine and returns once its virtual CPUs run; the guest
	// is not up yet. Start may be called once. When it fails nothing is left
	// behind and Done is closed.
	Start(ctx context.Context) error
	// Listen accepts connections that the guest makes to (HostCID, port). It
	// may be called before Start. Connections that it yields implement Conn.
	// The listener ends with the machine.
	Listen(port uint32) (net.Listener, error)
	// Dial connects to a port on which the guest listens; it waits for the
	// guest's driver to come up and fails with ECONNREFUSED where nobody
	// listens.
	Dial(ctx context.Context, port uint32) (Conn, error)
	// Pause stops the virtual CPUs, Resume lets them run on. Connections
	// survive.
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
	// Save writes the state of a paused machine into a new directory, for
	// Config.Restore. The machine stays as it is, also if that fails; of a
	// failure nothing is left. A restored machine has none of the connections,
	// and its guest finds them reset. The error is ErrNotSavable for a machine
	// that cannot be saved.
	Save(ctx context.Context, dir string) error
	// Stop ends the machine at once, as pulling the plug does, and returns
	// when nothing of it is left: no process, descriptor or goroutine. It may
	// be called in any state and more than once.
	Stop(ctx context.Context) error
	// Done is closed when the machine has ended, for whatever reason.
	Done() <-chan struct{}
	// Err says why the machine ended: nil after Stop and after the guest has
	// powered off, otherwise what happened, with the last lines of the
	// console or the hypervisor's own words. It is valid after Done.
	Err() error
}

// Driver makes machines.
type Driver interface {
	// Name is the driver's name and what it runs on, such as "qemu (tcg)".
	Name() string
	// New checks the configuration and prepares a machine without starting
	// it. A configuration that the driver or this host cannot serve gives an
	// error that says what to change.
	New(ctx context.Context, c Config) (Machine, error)
	// Parallel tells whether the virtual CPUs of a machine run side by side;
	// if not, more than one buys nothing.
	Parallel() bool
	// Check examines the host: one finding for each thing the driver needs.
	Check(ctx context.Context) []Finding
}

// Finding is one line of a diagnosis.
type Finding struct {
	OK      bool
	Subject string // what was looked at: "qemu-system-x86_64", "/dev/kvm"
	Detail  string // what was found
	Fix     string // what to do about it; empty when OK
}
