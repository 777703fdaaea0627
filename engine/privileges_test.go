package engine

import (
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/google/go-cmp/cmp"

	"github.com/skerry-app/skerry/guest/api"
)

func TestCapabilities(t *testing.T) {
	for _, test := range []struct {
		add, drop  []string
		privileged bool
		want       capabilities
	}{
		{nil, nil, false, 0xa80425fb},
		{[]string{"net_admin"}, []string{"CAP_CHOWN"}, false, 0xa80435fa},
		{[]string{"CAP_SYS_ADMIN"}, []string{"all"}, false, 1 << 21},
		{[]string{"ALL"}, []string{"SYS_ADMIN"}, false, allCapabilities &^ (1 << 21)},
		{[]string{"ALL"}, []string{"ALL"}, false, allCapabilities},
		{[]string{"CHOWN"}, []string{"CHOWN"}, false, defaultCapabilities},
		{nil, []string{"ALL"}, true, allCapabilities},
	} {
		s := Spec{CapAdd: test.add, CapDrop: test.drop, Privileged: test.privileged}
		if got, err := s.capabilities(); got != test.want || err != nil {
			t.Errorf("%v: %x, %v, want %x", test, got, err, test.want)
		}
	}
	if _, err := (&Spec{CapDrop: []string{"FLY"}}).capabilities(); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "FLY") {
		t.Errorf("unknown capability: %v", err)
	}
	if !defaultCapabilities.has("CAP_CHOWN") || defaultCapabilities.has("CAP_SYS_ADMIN") || allCapabilities.has("CAP_FLY") {
		t.Error("has is wrong")
	}
}

func TestRestrict(t *testing.T) {
	mask := uint32(0o27)
	s := Spec{NoNewPrivileges: true, Umask: &mask, OOMScoreAdj: 5, Ulimits: []Ulimit{{"nofile", 10, 20}, {"core", -1, -1}}}
	var p, q api.Process
	if err := new(Engine).restrict(&s, &p, false); err != nil {
		t.Fatal(err)
	}
	if len(p.Seccomp) == 0 || p.Capabilities.Bounding != uint64(defaultCapabilities) || !p.NoNewPrivileges || *p.Umask != mask || p.OomScoreAdj != 5 {
		t.Errorf("%v", &p)
	}
	if l := p.Rlimits; len(l) != 2 || l[0].Resource != 7 || l[0].Soft != 10 || l[0].Hard != 20 || l[1].Soft != 1<<64-1 || l[1].Hard != 1<<64-1 {
		t.Errorf("%v", p.Rlimits)
	}
	if err := new(Engine).restrict(&s, &q, true); err != nil || len(q.Seccomp) > 0 || q.Capabilities.Bounding != uint64(allCapabilities) || !q.Privileged {
		t.Errorf("%v, %v", &q, err)
	}
}

func TestCheckProcess(t *testing.T) {
	mask := uint32(0o1777)
	for want, s := range map[string]Spec{
		"FLY":                 {CapAdd: []string{"FLY"}},
		"seccomp profile":     {Seccomp: "{"},
		`ulimit "hair"`:       {Ulimits: []Ulimit{{"hair", 1, 1}}},
		"above its hard":      {Ulimits: []Ulimit{{"core", 2, 1}}},
		"umask 1777":          {Umask: &mask},
		"tmpfs mount \"run\"": {Tmpfs: map[string]string{"run": ""}},
		`option "size"`:       {Tmpfs: map[string]string{"/run": "size"}},
		`device "fuse"`:       {Devices: []Device{{Source: "fuse"}}},
		`access "x"`:          {Devices: []Device{{Source: "/dev/fuse", Access: "x"}}},
		`device rule "c"`:     {DeviceRules: []string{"c"}},
		"domain name":         {Domainname: "a b"},
		"search domain":       {DNSSearch: []string{"a\nnameserver 1.2.3.4"}},
	} {
		s.Image = "x"
		err := s.check()
		if err == nil {
			err = new(Engine).restrict(&s, &api.Process{}, false)
		}
		if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for want, s := range map[string]Spec{
		"reservation": {MemoryReservation: 2 << 20}, "CPUs 0 to 1": {CpusetCPUs: "1-2"}, "use a list": {CpusetCPUs: "2-1"},
		"node 0": {CpusetMems: "1"}, "oom score": {OOMScoreAdj: 1001}, "negative": {ShmSize: -1},
		"together": {MemorySwap: 1},
	} {
		s.CPUs, s.Memory = 1.5, 1<<20
		if err := s.checkResources(); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := (&Spec{CPUs: 2, CpusetCPUs: "0,1", CpusetMems: "0"}).checkResources(); err != nil {
		t.Error(err)
	}
}

func TestTmpfsOptions(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "noexec nosuid nodev",
		"size=1m,mode=700":     "noexec nosuid nodev size=1m mode=700",
		"exec,ro":              "nosuid nodev exec ro",
		"dev,suid,exec,nosuid": "dev exec nosuid",
		"rw,ro,atime":          "noexec nosuid nodev rw ro",
	} {
		got, err := tmpfsOptions(text)
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" || err != nil {
			t.Errorf("%q: %v %s", text, err, diff)
		}
	}
}

func TestCPUWeight(t *testing.T) {
	for shares, want := range map[int64]uint64{0: 0, 1: 1, 2: 1, 1024: 100, 2048: 174, 1 << 18: 10000, 1 << 20: 10000} {
		if got := cpuWeight(shares); got != want {
			t.Errorf("%d shares: %d, want %d", shares, got, want)
		}
	}
}
