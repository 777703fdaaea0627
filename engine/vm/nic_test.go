package vm

import (
	"net"
	"os"
	"strings"
	"testing"
)

func TestCheckHostNIC(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	for says, nic := range map[string]NIC{
		"":           {MAC: mac, Host: NAT},
		"no network": {MAC: mac, Host: "bridge"},
		"no socket":  {MAC: mac, Host: Vmnet, File: os.Stdin},
		"no MTU":     {MAC: mac, Host: NAT, MTU: 1500},
		"unicast":    {MAC: net.HardwareAddr{1, 0, 0, 0, 0, 1}, Host: NAT},
	} {
		if err := CheckHostNIC(nic); (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want %q", nic, err, says)
		}
	}
}
