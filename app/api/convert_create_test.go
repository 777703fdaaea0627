package api

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/skerry-app/skerry/engine"
)

// dockerRun is what "docker run --rm -i -p 8080:80 alpine echo hi" of version
// 28.2 sends: everything that is not given is there as a zero value.
func dockerRun(t *testing.T) []byte {
	t.Helper()
	body, err := os.ReadFile("testdata/docker-run.json")
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// request decodes dockerRun with some JSON put over its HostConfig.
func request(t *testing.T, config, host string) container.CreateRequest {
	t.Helper()
	var req container.CreateRequest
	if err := json.Unmarshal(dockerRun(t), &req); err != nil {
		t.Fatal(err)
	}
	for text, into := range map[string]any{config: req.Config, host: req.HostConfig} {
		if text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return req
}

func TestToSpecOfDockerRun(t *testing.T) {
	got, err := toSpec(request(t, "", ""))
	if err != nil {
		t.Fatal(err)
	}
	want := engine.Spec{
		Image: "alpine", Command: []string{"echo", "hi"}, OpenStdin: true, StdinOnce: true, AutoRemove: true, Foreground: true,
		Ports: []engine.Port{{HostPort: 8080, Container: 80, Protocol: "tcp"}}, Labels: map[string]string{},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
	if got.Entrypoint != nil {
		t.Error("the image's entrypoint is cleared though none was given")
	}
}

func TestToSpec(t *testing.T) {
	for name, tt := range map[string]struct {
		config, host string
		want         func(engine.Spec) any
		equal        any
	}{
		"command of the image":    {`{"Cmd":[]}`, ``, func(s engine.Spec) any { return s.Command == nil }, true},
		"entrypoint cleared":      {`{"Entrypoint":[""]}`, ``, func(s engine.Spec) any { return s.Entrypoint != nil && len(s.Entrypoint) == 0 }, true},
		"entrypoint":              {`{"Entrypoint":["/init"]}`, ``, func(s engine.Spec) any { return s.Entrypoint[0] }, "/init"},
		"cpus":                    {``, `{"NanoCpus":1500000000}`, func(s engine.Spec) any { return s.CPUs }, 1.5},
		"quota":                   {``, `{"CpuQuota":50000}`, func(s engine.Spec) any { return s.CPUs }, 0.5},
		"quota and period":        {``, `{"CpuQuota":50000,"CpuPeriod":25000}`, func(s engine.Spec) any { return s.CPUs }, 2.0},
		"no quota":                {``, `{"CpuQuota":-1}`, func(s engine.Spec) any { return s.CPUs }, 0.0},
		"memory and swap":         {``, `{"Memory":67108864,"MemorySwap":134217728}`, func(s engine.Spec) any { return s.MemorySwap }, int64(128 << 20)},
		"swap without a limit":    {``, `{"Memory":67108864,"MemorySwap":-1}`, func(s engine.Spec) any { return s.MemorySwap }, int64(0)},
		"memory without swap":     {``, `{"Memory":67108864,"MemorySwap":67108864}`, func(s engine.Spec) any { return s.Memory }, int64(64 << 20)},
		"stop timeout":            {`{"StopTimeout":3}`, ``, func(s engine.Spec) any { return *s.StopTimeout }, 3 * time.Second},
		"stop for ever":           {`{"StopTimeout":-1}`, ``, func(s engine.Spec) any { return *s.StopTimeout < 0 }, true},
		"default network":         {``, `{"NetworkMode":"bridge"}`, func(s engine.Spec) any { return s.Network }, ""},
		"default network, ours":   {``, `{"NetworkMode":"skerry"}`, func(s engine.Spec) any { return s.Network }, ""},
		"host address":            {``, `{"PortBindings":{"80/tcp":[{"HostIp":"::1","HostPort":""}]}}`, func(s engine.Spec) any { return s.Ports[0].HostIP.String() }, "::1"},
		"port exposed only":       {``, `{"PortBindings":{"80/tcp":[],"81/tcp":null,"82/tcp":[{}]}}`, func(s engine.Spec) any { return len(s.Ports) }, 1},
		"private modes":           {``, `{"IpcMode":"private","CgroupnsMode":"private"}`, func(s engine.Spec) any { return s.Image }, "alpine"},
		"no pid limit":            {``, `{"PidsLimit":-1}`, func(s engine.Spec) any { return s.Image }, "alpine"},
		"health check turned off": {`{"Healthcheck":{"Test":["NONE"]}}`, ``, func(s engine.Spec) any { return s.Image }, "alpine"},
		"init not wanted":         {``, `{"Init":false}`, func(s engine.Spec) any { return s.Image }, "alpine"},
	} {
		t.Run(name, func(t *testing.T) {
			spec, err := toSpec(request(t, tt.config, tt.host))
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.want(spec); got != tt.equal {
				t.Errorf("got %v, want %v", got, tt.equal)
			}
		})
	}
}

// What is not offered is refused by name, with 501.
func TestToSpecRefuses(t *testing.T) {
	for _, tt := range []struct{ config, host, message string }{
		{``, `{"Binds":["/a:/b:rshared"]}`, "the mount propagation rshared is not implemented yet"},
		{``, `{"Mounts":[{"Type":"image","Source":"a","Target":"/b"}]}`, "image mounts are not implemented yet"},
		{``, `{"Mounts":[{"Type":"volume","Source":"v","Target":"/b","VolumeOptions":{"DriverConfig":{"Name":"nfs"}}}]}`, "the volume driver nfs is not implemented yet"},
		{``, `{"Mounts":[{"Type":"volume","Source":"v","Target":"/b","VolumeOptions":{"DriverConfig":{"Name":"nbd"}}}]}`, `a mount that makes a volume of the driver nbd (make it before, with "volume create") is not implemented yet`},
		{``, `{"VolumesFrom":["x"]}`, "volumes of other containers (--volumes-from) are not implemented yet"},
		{``, `{"DeviceRequests":[{"Count":-1}]}`, "device requests (GPUs) are not implemented yet"},
		{``, `{"PidMode":"host"}`, "sharing the PID namespace is not implemented yet"},
		{``, `{"NetworkMode":"host"}`, "the host's network for containers is not implemented yet"},
		{``, `{"NetworkMode":"container:x"}`, "sharing another container's network is not implemented yet"},
		{``, `{"LogConfig":{"Type":"syslog"}}`, "the logging driver syslog is not implemented yet"},
		{``, `{"LogConfig":{"Type":"json-file","Config":{"max-size":"1m"}}}`, "options of the logging driver are not implemented yet"},
		{``, `{"OomKillDisable":true}`, "disabling the OOM killer is not implemented yet"},
		{``, `{"BlkioWeight":300}`, "weights of block I/O are not implemented yet"},
		{``, `{"SecurityOpt":["apparmor=mine"]}`, "the security option apparmor is not implemented yet"},
		{``, `{"PortBindings":{"80/tcp":[{"HostPort":"8000-8010"}]}}`, "choosing a host port from the range 8000-8010 is not implemented yet"},
	} {
		t.Run(tt.message, func(t *testing.T) {
			_, err := toSpec(request(t, tt.config, tt.host))
			if err == nil || err.Error() != tt.message || status(err) != http.StatusNotImplemented {
				t.Errorf("got %v (%d)", err, status(err))
			}
		})
	}
}

func TestToSpecInvalid(t *testing.T) {
	for _, host := range []string{
		`{"NanoCpus":1,"CpuQuota":1}`,
		`{"NanoCpus":-1}`,
		`{"Binds":["/a:/b:rw:ro"]}`,
		`{"Binds":["/a:/b:sometimes"]}`,
		`{"Binds":["/a:"]}`,
		`{"RestartPolicy":{"Name":"sometimes"}}`,
		`{"RestartPolicy":{"Name":"always","MaximumRetryCount":1}}`,
		`{"PortBindings":{"80/tcp":[{"HostPort":"http"}]}}`,
		`{"PortBindings":{"0/tcp":[{"HostPort":"80"}]}}`,
		`{"SecurityOpt":["no-new-privileges:perhaps"]}`,
		`{"SecurityOpt":["secomp=x"]}`,
		`{"MemorySwap":134217728}`,
	} {
		if _, err := toSpec(request(t, "", host)); err == nil || status(err) != http.StatusBadRequest {
			t.Errorf("%s: got %v", host, err)
		}
	}
}

func TestToSpecEndpoints(t *testing.T) {
	for _, tt := range []struct {
		mode, endpoints string
		network         string
		code            int // 0: none
	}{
		{"shop", `{"shop":{"Aliases":["db"]}}`, "shop", 0},
		{"default", `{"shop":{"Aliases":["db"]}}`, "shop", 0},
		{"shop", `{"other":null}`, "", http.StatusBadRequest},
		{"shop", `{"shop":null,"other":null}`, "", http.StatusNotImplemented},
		{"shop", `{"shop":{"IPAMConfig":{"IPv4Address":"10.0.0.9"}}}`, "", http.StatusNotImplemented},
		{"shop", `{"shop":{"MacAddress":"02:00:00:00:00:01"}}`, "", http.StatusNotImplemented},
		{"shop", `{"shop":{"IPAMConfig":{}}}`, "shop", 0},
	} {
		req := request(t, "", `{"NetworkMode":"`+tt.mode+`"}`)
		req.NetworkingConfig.EndpointsConfig = nil
		if err := json.Unmarshal([]byte(tt.endpoints), &req.NetworkingConfig.EndpointsConfig); err != nil {
			t.Fatal(err)
		}
		spec, err := toSpec(req)
		switch {
		case tt.code != 0:
			if err == nil || status(err) != tt.code {
				t.Errorf("%s %s: got %v, want status %d", tt.mode, tt.endpoints, err, tt.code)
			}
		case err != nil || spec.Network != tt.network:
			t.Errorf("%s %s: got network %q, %v", tt.mode, tt.endpoints, spec.Network, err)
		}
	}
}

func TestPublishAll(t *testing.T) {
	spec := engine.Spec{Ports: []engine.Port{{HostPort: 8080, Container: 80, Protocol: "tcp"}}}
	publishAll(&spec, []network.Port{network.MustParsePort("443"), network.MustParsePort("80"), network.MustParsePort("443")})
	want := []engine.Port{{HostPort: 8080, Container: 80, Protocol: "tcp"}, {Container: 443, Protocol: "tcp"}}
	if diff := cmp.Diff(want, spec.Ports, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
}
