package skerryfile

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/docker/go-connections/nat"
)

// ports reads published ports in compose's short form.
func (r *reader) ports(n *node) []Port {
	if !n.isArray {
		r.wrong(n)
		return nil
	}
	var ports []Port
	for _, element := range n.elements {
		text, ok := element.scalar.(string)
		if number, isNumber := element.scalar.(int64); isNumber {
			r.add(element.at, "ports must be strings: write \"%d:%d\" for port %d", number, number, number)
			continue
		}
		if !ok {
			r.add(element.at, "ports must be %s; this element is %s", r.typ, element.kind())
			continue
		}
		if text, ok := r.expanded(element, text); ok {
			ports = append(ports, r.portSpec(element, text)...)
		}
	}
	return ports
}

func (r *reader) portSpec(n *node, text string) []Port {
	mappings, err := nat.ParsePortSpec(text)
	if err != nil {
		r.add(n.at, `port %q must be like "8080:80", "127.0.0.1:8080:80" or "8000-8002:8000-8002" (%v)`, text, err)
		return nil
	}
	var ports []Port
	for _, m := range mappings {
		if protocol := m.Port.Proto(); protocol != "tcp" {
			r.add(n.at, "port %q: publishing %s ports is not supported yet", text, protocol)
			return nil
		}
		p := Port{at: n}
		if m.Binding.HostPort != "" {
			host, err := strconv.ParseUint(m.Binding.HostPort, 10, 16)
			if err != nil {
				r.add(n.at, "port %q must have as many host ports as container ports", text)
				return nil
			}
			p.HostPort = uint16(host)
		}
		inside := m.Port.Int()
		if inside == 0 {
			r.add(n.at, "port %q: a container has no port 0", text)
			return nil
		}
		p.Container = uint16(inside)
		if m.Binding.HostIP != "" {
			if p.HostIP, err = netip.ParseAddr(m.Binding.HostIP); err != nil {
				r.add(n.at, "port %q: %q is no address", text, m.Binding.HostIP)
				return nil
			}
		}
		ports = append(ports, p)
	}
	return ports
}

// checkPorts looks for host ports that two containers want.
func (r *reader) checkPorts(p *Project) {
	type owner struct {
		container string
		port      Port
	}
	taken := map[uint16][]owner{}
	for _, c := range p.Containers {
		for _, port := range c.Ports {
			if port.HostPort == 0 {
				continue
			}
			for _, other := range taken[port.HostPort] {
				if !overlap(port.HostIP, other.port.HostIP) {
					continue
				}
				r.add(port.at.at, "host port %d is already published by %q (%s)", port.HostPort, other.container, other.port.at.where(port.at))
				break
			}
			taken[port.HostPort] = append(taken[port.HostPort], owner{c.Name, port})
		}
	}
}

// overlap tells whether two addresses cannot both have the same port.
func overlap(a, b netip.Addr) bool {
	if !b.IsValid() {
		a, b = b, a
	}
	switch {
	case a == b:
		return true
	case !a.IsValid(): // both loopback addresses
		return b.IsLoopback() || b.IsUnspecified()
	case a.Is4() != b.Is4():
		return false
	}
	return a.IsUnspecified() || b.IsUnspecified()
}

// where names n's place for a message that stands at another place.
func (n *node) where(other *node) string {
	line, _ := n.at.lineColumn()
	text := "line " + strconv.Itoa(line)
	if n.at.source != other.at.source {
		return text + " of " + n.at.source.path[strings.LastIndexByte(n.at.source.path, '/')+1:]
	}
	return text
}
