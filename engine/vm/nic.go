package vm

import (
	"errors"
	"fmt"
	"net"
)

// CheckMAC wants an address that one machine can have.
func CheckMAC(mac net.HardwareAddr) error {
	const ethernet, multicast = 6, 0x01
	if len(mac) != ethernet || mac[0]&multicast != 0 {
		return fmt.Errorf("MAC address %q: use a unicast address of 6 bytes", mac)
	}
	return nil
}

// CheckHostNIC finds what no driver can make of an interface on a network of the
// hypervisor's.
func CheckHostNIC(n NIC) error {
	switch {
	case n.Host != NAT && n.Host != Vmnet:
		return fmt.Errorf("the hypervisor has no network %q: use %s or %s", n.Host, NAT, Vmnet)
	case n.File != nil || n.MTU != 0:
		return errors.New("on a network of the hypervisor's it has no socket and no MTU of its own")
	}
	return CheckMAC(n.MAC)
}
