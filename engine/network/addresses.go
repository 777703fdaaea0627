package network

import (
	"errors"
	"fmt"
	"net/netip"
)

// ErrNoAddress is returned by Attach when every address of the network is in use.
var ErrNoAddress = errors.New("no free address")

// addresses hands out a subnet's addresses. An address given back is not handed out again before all
// others have been: a connection or a cache that still means the old owner must not meet the new one.
type addresses struct {
	subnet  netip.Prefix
	gateway netip.Addr // the subnet's first address
	host    netip.Addr // its last one before the broadcast address
	used    map[netip.Addr]bool
	next    netip.Addr // where the next search starts
}

func newAddresses(subnet netip.Prefix) *addresses {
	first := subnet.Addr().Next()
	last := subnet.Masked().Addr().As4()
	last[3] = 254
	return &addresses{
		subnet:  subnet,
		gateway: first,
		host:    netip.AddrFrom4(last),
		used:    map[netip.Addr]bool{},
		next:    first.Next(),
	}
}

// take reserves a free address, or, if want is valid, that one.
func (a *addresses) take(want netip.Addr) (netip.Addr, error) {
	if want.IsValid() {
		return want, a.takeThis(want)
	}
	for range 1 << (32 - subnetBits) {
		at := a.next
		a.next = at.Next()
		if a.next == a.host {
			a.next = a.gateway.Next()
		}
		if !a.used[at] {
			a.used[at] = true
			return at, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("%w in %s: all %d are in use; remove a container from the network", ErrNoAddress, a.subnet, len(a.used))
}

func (a *addresses) takeThis(want netip.Addr) error {
	switch {
	case !a.subnet.Contains(want):
		return fmt.Errorf("address %s is not in the network's subnet %s", want, a.subnet)
	case !a.gateway.Less(want) || !want.Less(a.host):
		return fmt.Errorf("address %s is reserved: containers use %s to %s", want, a.gateway.Next(), a.host.Prev())
	case a.used[want]:
		return fmt.Errorf("address %s is in use by another container", want)
	}
	a.used[want] = true
	return nil
}

func (a *addresses) release(at netip.Addr) { delete(a.used, at) }
