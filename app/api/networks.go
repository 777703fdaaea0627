package api

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/plugin"

	"github.com/skerry-app/skerry/engine"
)

// bridge is what clients of the Engine API expect the default network to be
// called.
const bridge = network.NetworkBridge

// networkName is a network's name in the API, engineNetwork the other way round.
func networkName(name string) string {
	if name == "" || name == engine.DefaultNetwork {
		return bridge
	}
	return name
}

func engineNetwork(name string) string {
	switch name {
	case "", bridge, network.NetworkDefault, engine.DefaultNetwork:
		return ""
	}
	return name
}

// networkID makes an ID for a network. The engine knows networks by their name
// alone; clients want 64 hexadecimal digits that stay the same.
func networkID(name string) string { return identity("network", networkName(name)) }

func identity(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}

// networks are the default network and those that containers are on.
func (s *Server) networks() []network.Inspect {
	var list []network.Inspect
	at := map[string]int{}
	add := func(name string) *network.Inspect {
		i, ok := at[name]
		if !ok {
			i = len(list)
			at[name] = i
			list = append(list, network.Inspect{Network: network.Network{
				Name: name, ID: networkID(name), Scope: "local", Driver: driverOf(name), EnableIPv4: true,
				IPAM:    network.IPAM{Driver: "default", Config: []network.IPAMConfig{}},
				Options: map[string]string{}, Labels: map[string]string{},
			}, Containers: map[string]network.EndpointResource{}})
		}
		return &list[i]
	}
	add(bridge)
	for _, c := range s.engine.Containers() {
		snap := c.Snapshot()
		if snap.Endpoint == nil {
			continue
		}
		n, e := add(networkName(snap.Endpoint.Network)), snap.Endpoint
		n.Containers[snap.ID] = network.EndpointResource{Name: snap.Name, EndpointID: endpointID(snap),
			MacAddress: hardwareAddr(e.MAC), IPv4Address: e.Address}
		if len(n.IPAM.Config) == 0 && e.Address.IsValid() {
			n.IPAM.Config = append(n.IPAM.Config, network.IPAMConfig{Subnet: e.Address.Masked(), Gateway: e.Gateway})
		}
	}
	return list
}

// driverOf is what a network is made by.
func driverOf(name string) string {
	if engine.OwnsNetwork(name) {
		return bridge
	}
	return name
}

func (s *Server) listNetworks(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r, "dangling", "driver", "id", "label", "name", "scope", "type")
	if err != nil {
		return err
	}
	list := []network.Summary{}
	for _, n := range s.networks() {
		kind := "custom"
		if n.Name == bridge {
			kind = "builtin"
		}
		unused := kind == "custom" && len(n.Containers) == 0
		if f.matches("name", n.Name) && f.prefixed("id", n.ID) && f.exact("driver", n.Driver) && f.exact("scope", n.Scope) &&
			f.exact("type", kind) && f.labels("label", n.Labels) && f.exact("dangling", booleanWords(unused)...) {
			list = append(list, network.Summary{Network: n.Network})
		}
	}
	return writeJSON(w, http.StatusOK, list)
}

// booleanWords are the words for a truth value in a filter.
func booleanWords(b bool) []string {
	if b {
		return []string{"true", "1"}
	}
	return []string{"false", "0"}
}

func (s *Server) inspectNetwork(w http.ResponseWriter, r *http.Request) error {
	want := r.PathValue("id")
	for _, n := range s.networks() {
		if n.Name == networkName(want) || strings.HasPrefix(n.ID, want) {
			return writeJSON(w, http.StatusOK, n)
		}
	}
	return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("network %s not found", want))
}

func endpointID(snap engine.Snapshot) string { return identity("endpoint", snap.ID) }

// endpoints describes a container's place on its network; before it has one,
// what is known already.
func endpoints(snap engine.Snapshot) map[string]*network.EndpointSettings {
	e := &network.EndpointSettings{NetworkID: networkID(snap.Spec.Network), Aliases: snap.Spec.Aliases}
	if p := snap.Endpoint; p != nil {
		e.EndpointID, e.MacAddress, e.DNSNames = endpointID(snap), hardwareAddr(p.MAC), p.Names
		e.IPAddress, e.IPPrefixLen, e.Gateway = p.Address.Addr(), prefixBits(p.Address), p.Gateway
	}
	return map[string]*network.EndpointSettings{networkName(snap.Spec.Network): e}
}

func prefixBits(p netip.Prefix) int { return max(p.Bits(), 0) }

func hardwareAddr(s string) network.HardwareAddr {
	mac, err := net.ParseMAC(s)
	if err != nil {
		return nil
	}
	return network.HardwareAddr(mac)
}

// Plugins: there are none, which is not the same as saying nothing.

func (s *Server) listPlugins(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, plugin.ListResponse{})
}

func (s *Server) noPlugin(_ http.ResponseWriter, r *http.Request) error {
	return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("plugin %q not found", r.PathValue("name")))
}
