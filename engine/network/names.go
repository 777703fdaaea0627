package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// Suffix is the top-level domain of container names: web on network shop is web.shop.internal. ICANN has
// set .internal aside for private use (board resolution 2024.07.29.06).
const Suffix = "internal"

// Names that every network answers for itself. The host's name leads to the services on its loopback
// addresses.
var (
	hostNames    = []string{"host.docker.internal", "host.internal"}
	gatewayNames = []string{"gateway.docker.internal", "gateway.internal"}
)

// Limits of names in DNS (RFC 1035, section 2.3.4).
const (
	maxName  = 253 // as text, without the final dot
	maxLabel = 63
)

// names are the names of one network. A name may have several addresses; an address has one full name,
// for the way back.
type names struct {
	domain string // "shop.internal"

	mu      sync.RWMutex
	forward map[string][]netip.Addr // lower-case, without the final dot
	reverse map[netip.Addr]string
}

func newNames(network string, gateway, host netip.Addr) *names {
	n := &names{
		domain:  canonical(network + "." + Suffix),
		forward: map[string][]netip.Addr{},
		reverse: map[netip.Addr]string{gateway: gatewayNames[0], host: hostNames[0]},
	}
	for _, name := range gatewayNames {
		n.forward[name] = []netip.Addr{gateway}
	}
	for _, name := range hostNames {
		n.forward[name] = []netip.Addr{host}
	}
	return n
}

// add makes at known under each of the given names, as "web", "web.shop" and "web.shop.internal". The
// first is the one the address resolves back to. It changes nothing when it returns an error.
func (n *names) add(at netip.Addr, given []string) error {
	for _, name := range given {
		if err := checkName(name); err != nil {
			return err
		}
		if name := canonical(name); slices.Contains(hostNames, name) || slices.Contains(gatewayNames, name) {
			return fmt.Errorf("name %q is reserved: it stands for the host or the gateway", name)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, name := range given {
		for _, form := range n.forms(name) {
			if !slices.Contains(n.forward[form], at) {
				n.forward[form] = append(n.forward[form], at)
			}
		}
	}
	if len(given) > 0 {
		n.reverse[at] = canonical(given[0]) + "." + n.domain
	}
	return nil
}

// remove forgets an address and the names that only it had.
func (n *names) remove(at netip.Addr, given []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, name := range given {
		for _, form := range n.forms(name) {
			left := slices.DeleteFunc(slices.Clone(n.forward[form]), func(a netip.Addr) bool { return a == at })
			if len(left) == 0 {
				delete(n.forward, form)
			} else {
				n.forward[form] = left
			}
		}
	}
	delete(n.reverse, at)
}

func (n *names) forms(name string) []string {
	name = canonical(name)
	return []string{name, name + "." + strings.TrimSuffix(n.domain, "."+Suffix), name + "." + n.domain}
}

// addresses returns the addresses of a name, nil if it is not one of this network's.
func (n *names) addresses(name string) []netip.Addr {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return slices.Clone(n.forward[canonical(name)])
}

// nameOf returns the full name of an address, "" if it has none.
func (n *names) nameOf(at netip.Addr) string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.reverse[at]
}

// owns tells whether only this network can know the name: it lies in its domain.
func (n *names) owns(name string) bool {
	name = canonical(name)
	return name == n.domain || strings.HasSuffix(name, "."+n.domain)
}

func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// checkName refuses what cannot be the first part of a DNS name. Underscores are fine: compose uses them.
func checkName(name string) error {
	if len(name) > maxName {
		return fmt.Errorf("name %q cannot be resolved: longer than %d bytes", name, maxName)
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || len(label) > maxLabel {
			return fmt.Errorf("name %q cannot be resolved: the parts between dots must have 1 to %d bytes", name, maxLabel)
		}
		if i := strings.IndexFunc(label, func(r rune) bool { return r <= ' ' || r > '~' }); i >= 0 {
			return fmt.Errorf("name %q cannot be resolved: only printable ASCII characters are allowed", name)
		}
	}
	return nil
}
