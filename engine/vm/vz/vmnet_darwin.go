package vz

import (
	"errors"
	"fmt"
	"sync"

	"github.com/Code-Hex/vz/v3"
	"github.com/ebitengine/purego"
	"github.com/ebitengine/purego/objc"
)

// This file puts machines on a network of vmnet's (macOS 26), which vz v3.7.1 does
// not know. One network serves all machines of this process: those on one network
// reach each other, and it needs no entitlement beyond the usual one.

// Constants of vmnet.h.
const (
	vmnetShared  = 1001 // VMNET_SHARED_MODE: by the host's address to the world
	vmnetSuccess = 1000 // VMNET_SUCCESS
)

var errVmnet = errors.New("networks of vmnet need macOS 26 or newer: use the network nat")

// vmnetMissing says what keeps machines from vmnet; nil if nothing.
func vmnetMissing() error {
	if objc.GetClass("VZVmnetNetworkDeviceAttachment") == 0 {
		return errVmnet
	}
	return nil
}

// vmnetNetwork makes the network when it is first needed (vmnet_network_ref). Its
// DHCP server stays on: guests ask it as they ask that of NAT. It lives as long as
// the process.
var vmnetNetwork = sync.OnceValues(func() (uintptr, error) {
	lib, err := purego.Dlopen("/System/Library/Frameworks/vmnet.framework/vmnet", purego.RTLD_LAZY|purego.RTLD_GLOBAL)
	if err != nil {
		return 0, fmt.Errorf("load vmnet.framework: %w", err)
	}
	for _, name := range []string{"vmnet_network_configuration_create", "vmnet_network_create"} {
		if _, err := purego.Dlsym(lib, name); err != nil {
			return 0, errVmnet // registering it would panic
		}
	}
	var newConfiguration func(mode uint32, status *uint32) uintptr
	var newNetwork func(configuration uintptr, status *uint32) uintptr
	purego.RegisterLibFunc(&newConfiguration, lib, "vmnet_network_configuration_create")
	purego.RegisterLibFunc(&newNetwork, lib, "vmnet_network_create")
	var status uint32
	configuration := newConfiguration(vmnetShared, &status)
	if configuration == 0 || status != vmnetSuccess {
		return 0, fmt.Errorf("vmnet makes no configuration: status %d of vmnet.h", status)
	}
	network := newNetwork(configuration, &status)
	if network == 0 || status != vmnetSuccess {
		return 0, fmt.Errorf("vmnet makes no network: status %d of vmnet.h", status)
	}
	return network, nil
})

// attachVmnet puts an interface on vmnet's network in place of where it was. The
// objects are used and released at once, so that it needs no autorelease pool.
func attachVmnet(device *vz.VirtioNetworkDeviceConfiguration) error {
	network, err := vmnetNetwork()
	if err != nil {
		return err
	}
	configuration, err := object(device)
	if err != nil {
		return err
	}
	class := objc.GetClass("VZVmnetNetworkDeviceAttachment")
	if class == 0 {
		return errVmnet
	}
	attachment := objc.ID(class).Send(objc.RegisterName("alloc")).Send(objc.RegisterName("initWithNetwork:"), network)
	if attachment == 0 {
		return errors.New("the framework makes no attachment to vmnet's network")
	}
	configuration.Send(objc.RegisterName("setAttachment:"), attachment) // retains it
	attachment.Send(objc.RegisterName("release"))
	return nil
}
