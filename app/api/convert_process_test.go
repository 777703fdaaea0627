package api

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/moby/moby/api/types/container"

	"github.com/skerry-app/skerry/engine"
)

// TestProcessThereAndBack wants all that is asked of processes in the Spec, and
// shown again as it was asked for.
func TestProcessThereAndBack(t *testing.T) {
	const host = `{
		"Dns":["1.1.1.1","fd00::1"],"DnsSearch":["a.test"],"DnsOptions":["ndots:2"],
		"GroupAdd":["audio","777"],"CapAdd":["NET_ADMIN"],"CapDrop":["ALL"],
		"MaskedPaths":[],"ReadonlyPaths":["/opt"],"Umask":63,"OomScoreAdj":-100,"Sysctls":{"net.core.somaxconn":"1"},"Init":true,
		"Tmpfs":{"/run":"size=1m"},"ShmSize":1048576,"SecurityOpt":["no-new-privileges","seccomp=unconfined"],
		"Ulimits":[{"Name":"nofile","Soft":10,"Hard":-1}],"DeviceCgroupRules":["c 10:* r"],
		"Devices":[{"PathOnHost":"/dev/fuse","PathInContainer":"/dev/f","CgroupPermissions":"r"},
			{"PathOnHost":"disk","PathInContainer":"/dev/d","CgroupPermissions":"r"},{"PathOnHost":"disk2","PathInContainer":"/dev/e","CgroupPermissions":"rwm"}],
		"MemoryReservation":4096,"CpuShares":512,"CpusetCpus":"0","CpusetMems":"0","PidsLimit":20,
		"BlkioDeviceReadBps":[{"Path":"/dev/vdc","Rate":1}],"BlkioDeviceWriteBps":[{"Path":"/dev/vda","Rate":2}],
		"BlkioDeviceReadIOps":[{"Path":"/dev/vdc","Rate":3}],"BlkioDeviceWriteIOps":[{"Path":"/dev/vdc","Rate":4}]}`
	spec, err := toSpec(request(t, `{"Domainname":"test"}`, host))
	if err != nil {
		t.Fatal(err)
	}
	mask := uint32(63)
	want := engine.Spec{
		Domainname: "test", DNS: []netip.Addr{netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("fd00::1")},
		DNSSearch: []string{"a.test"}, DNSOptions: []string{"ndots:2"},
		Groups: []string{"audio", "777"}, CapAdd: []string{"NET_ADMIN"}, CapDrop: []string{"ALL"}, NoNewPrivileges: true, Seccomp: "unconfined",
		MaskedPaths: []string{}, ReadOnlyPaths: []string{"/opt"}, Ulimits: []engine.Ulimit{{Name: "nofile", Soft: 10, Hard: -1}},
		Umask: &mask, OOMScoreAdj: -100, Init: true, Sysctls: map[string]string{"net.core.somaxconn": "1"},
		Tmpfs: map[string]string{"/run": "size=1m"}, ShmSize: 1 << 20,
		Devices: []engine.Device{{Source: "/dev/fuse", Target: "/dev/f", Access: "r"}},
		Mounts: []engine.Mount{{Type: engine.MountVolume, Source: "disk", Target: "/dev/d", ReadOnly: true, Raw: true},
			{Type: engine.MountVolume, Source: "disk2", Target: "/dev/e", Raw: true}},
		DeviceRules: []string{"c 10:* r"}, MemoryReservation: 4096, PidsLimit: 20, CPUShares: 512, CpusetCPUs: "0", CpusetMems: "0",
		IO: []engine.IOLimit{{Device: "/dev/vda", WriteBytes: 2}, {Device: "/dev/vdc", ReadBytes: 1, ReadOperations: 3, WriteOperations: 4}},
	}
	ours := cmpopts.IgnoreFields(engine.Spec{}, "Image", "Command", "OpenStdin", "StdinOnce", "AutoRemove", "Foreground", "Ports", "Labels")
	if diff := cmp.Diff(want, spec, ours, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if spec.MaskedPaths == nil {
		t.Error("no masked paths became the usual ones")
	}
	var asked, shown map[string]any
	h := &container.HostConfig{}
	showProcess(h, spec)
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	for text, into := range map[string]*map[string]any{host: &asked, string(text): &shown} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range asked {
		if diff := cmp.Diff(value, shown[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestSecurityOptions(t *testing.T) {
	for option, want := range map[string]engine.Spec{
		"no-new-privileges": {NoNewPrivileges: true}, "no-new-privileges:true": {NoNewPrivileges: true}, "no-new-privileges=false": {},
		"seccomp=unconfined": {Seccomp: "unconfined"}, "seccomp:unconfined": {Seccomp: "unconfined"}, "seccomp=builtin": {},
		`seccomp={"a":"b=c"}`: {Seccomp: `{"a":"b=c"}`}, "apparmor=unconfined": {}, "label=disable": {},
	} {
		var got engine.Spec
		if err := toSecurity(&got, []string{option}); err != nil {
			t.Errorf("%s: %v", option, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s: %s", option, diff)
		}
	}
}
