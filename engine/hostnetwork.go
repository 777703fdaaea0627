package engine

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/netip"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/engine/vm"
)

// hostNetwork is the network of the hypervisor's that a container is to be on;
// empty for one of the engine's, or none.
func hostNetwork(s Spec) vm.HostNetwork {
	if s.Network == NoNetwork || OwnsNetwork(s.Network) {
		return ""
	}
	return vm.HostNetwork(s.Network)
}

// checkHostNetwork finds what such a network does not have.
func (s *Spec) checkHostNetwork() error {
	if hostNetwork(*s) == "" {
		return nil
	}
	if len(s.Aliases) > 0 {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("network %s: there are no names of containers on it, and so no aliases", s.Network))
	}
	for _, h := range s.ExtraHosts {
		if name, address, err := parseHost(h); err == nil && !address.IsValid() {
			return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("extra host %s: on the network %s the host's address is not known before the container runs: it is the default gateway's", name, s.Network))
		}
	}
	return nil
}

// OwnsNetwork tells the networks that the engine makes from those that the
// hypervisor has, and none.
func OwnsNetwork(name string) bool {
	return name != NoNetwork && name != NATNetwork && name != VmnetNetwork
}

// hostedMAC is the machine's address there. It is the same at each start, so that
// a DHCP server can give what it gave before.
func (m *machine) hostedMAC() net.HardwareAddr {
	name := m.name
	if m.pod != nil {
		name = m.pod.network + "/" + m.pod.name
	}
	sum := sha256.Sum256([]byte(name))
	const local = 0x02 // administered here, for one machine
	return append(net.HardwareAddr{local}, sum[:5]...)
}

// hostedEndpoint is the machine's place there as DHCP has told it; nil before. The
// guest says so: it is checked.
func (m *machine) hostedEndpoint() *Endpoint {
	if m.hosted == "" || m.client == nil {
		return nil
	}
	e := &Endpoint{Network: string(m.hosted), MAC: m.hostedMAC().String()}
	for _, i := range m.client.Leased() {
		if len(i.Addresses) > 0 {
			e.Address, _ = netip.ParsePrefix(i.Addresses[0])
		}
		if len(i.Gateways) > 0 {
			e.Gateway, _ = netip.ParseAddr(i.Gateways[0])
		}
	}
	return e
}
