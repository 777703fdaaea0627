package api

import (
	"encoding/json"
	"net/netip"
	"testing"
	"text/template"
	"time"

	"bytes"

	"github.com/moby/moby/api/types/container"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-app/skerry/engine"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// running is a container with everything in it.
func running() engine.Snapshot {
	return engine.Snapshot{
		ID: "aa11223344556677889900aabbccddeeff00112233445566778899aabbccddee", Name: "web", Created: now.Add(-time.Hour),
		ImageID: "sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1",
		Spec: engine.Spec{Image: "nginx:1", Memory: 64 << 20, CPUs: 1.5, Labels: map[string]string{"tier": "front"}, Hostname: "aa1122334455",
			Command: []string{"-g", "daemon off;"}, Ports: []engine.Port{{Container: 80, Protocol: "tcp"}}},
		Path: "/entry", Args: []string{"-g", "daemon off;"}, Env: []string{"A=b"},
		State: engine.State{Status: engine.StatusRunning, Pid: 7, StartedAt: now.Add(-5 * time.Second),
			Phases: []engine.Phase{{Name: "kernel", Duration: 250 * time.Millisecond}}},
		Endpoint: &engine.Endpoint{Network: "skerry", Address: netip.MustParsePrefix("10.5.0.2/24"), Gateway: netip.MustParseAddr("10.5.0.1"),
			MAC: "02:00:00:00:00:02", Names: []string{"web"}},
		Bindings: []engine.Port{{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 49153, Container: 80, Protocol: "tcp"},
			{HostIP: netip.MustParseAddr("::1"), HostPort: 49153, Container: 80, Protocol: "tcp"}},
	}
}

func created() engine.Snapshot {
	s := running()
	s.State, s.Endpoint, s.Bindings = engine.State{Status: engine.StatusCreated}, nil, nil
	return s
}

func TestStatusText(t *testing.T) {
	for _, tt := range []struct {
		state engine.State
		want  string
	}{
		{engine.State{Status: engine.StatusCreated}, "Created"},
		{engine.State{Status: engine.StatusRunning, StartedAt: now.Add(-5 * time.Second)}, "Up 5 seconds"},
		{engine.State{Status: engine.StatusRunning, StartedAt: now.Add(-5 * time.Second), Health: &engine.Health{Status: engine.HealthHealthy}}, "Up 5 seconds (healthy)"},
		{engine.State{Status: engine.StatusRunning, StartedAt: now.Add(-5 * time.Second), Health: &engine.Health{Status: engine.HealthStarting}}, "Up 5 seconds (health: starting)"},
		{engine.State{Status: engine.StatusPaused, StartedAt: now.Add(-time.Hour)}, "Up About an hour (Paused)"},
		{engine.State{Status: engine.StatusExited, FinishedAt: now.Add(-3 * time.Minute)}, "Exited (0) 3 minutes ago"},
		{engine.State{Status: engine.StatusExited, ExitCode: 127, FinishedAt: now}, "Exited (127) Less than a second ago"},
		{engine.State{Status: engine.StatusRemoving}, "Removal In Progress"},
		{engine.State{Status: engine.StatusDead}, "Dead"},
	} {
		if got := statusText(tt.state, now); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.state.Status, got, tt.want)
		}
	}
}

// The templates that people have in their scripts, over the JSON as the docker
// command sees it.
func TestInspectTemplates(t *testing.T) {
	image := &ocispec.ImageConfig{Entrypoint: []string{"/entry"}, ExposedPorts: map[string]struct{}{"443/tcp": {}}, StopSignal: "SIGQUIT"}
	exited := created()
	exited.State = engine.State{Status: engine.StatusExited, ExitCode: 3, Error: "oh", FinishedAt: now}
	for _, tt := range []struct {
		snap           engine.Snapshot
		template, want string
	}{
		{running(), `{{.Name}} {{.State.Status}} {{.State.Running}} {{.State.ExitCode}}`, "/web running true 0"},
		{running(), `{{.NetworkSettings.IPAddress}} {{.NetworkSettings.Gateway}}`, "10.5.0.2 10.5.0.1"},
		{running(), `{{range .NetworkSettings.Networks}}{{.IPAddress}}/{{.IPPrefixLen}} {{.MacAddress}}{{end}}`, "10.5.0.2/24 02:00:00:00:00:02"},
		{running(), `{{.NetworkSettings.Networks.bridge.Gateway}}`, "10.5.0.1"},
		{running(), `{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}`, "49153"},
		{running(), `{{(index (index .NetworkSettings.Ports "80/tcp") 1).HostIp}}`, "::1"},
		{running(), `{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.NetworkMode}}`, "67108864 1500000000 bridge"},
		{running(), `{{.Config.Entrypoint}} {{.Config.Cmd}} {{.Config.StopSignal}}`, "[/entry] [-g daemon off;] SIGQUIT"},
		{running(), `{{json .Config.Env}} {{json .Config.ExposedPorts}}`, `["A=b"] {"443/tcp":{},"80/tcp":{}}`},
		{running(), `{{range .Skerry.Phases}}{{.Name}} {{.Seconds}}{{end}}`, "kernel 0.25"},
		{created(), `{{.State.StartedAt}} {{.State.FinishedAt}}`, "0001-01-01T00:00:00Z 0001-01-01T00:00:00Z"},
		{created(), `[{{.NetworkSettings.IPAddress}}] {{json .NetworkSettings.Ports}}`, `[] {"80/tcp":null}`},
		{created(), `{{json .Mounts}} {{json .Skerry.Phases}} {{.HostConfig.RestartPolicy.Name}}`, "[] [] no"},
		{exited, `{{.State.ExitCode}} {{.State.Error}} {{.Skerry.Error}}`, "3 oh oh"},
	} {
		data, err := json.Marshal(toInspect(tt.snap, image))
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]any
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		if err := decoder.Decode(&v); err != nil {
			t.Fatal(err)
		}
		funcs := template.FuncMap{"json": func(v any) (string, error) { b, err := json.Marshal(v); return string(b), err }}
		var out bytes.Buffer
		if err := template.Must(template.New("").Funcs(funcs).Parse(tt.template)).Execute(&out, v); err != nil {
			t.Errorf("%s: %v", tt.template, err)
		} else if out.String() != tt.want {
			t.Errorf("%s: got %q, want %q", tt.template, out.String(), tt.want)
		}
		// The client's own type must take it, too.
		var typed container.InspectResponse
		if err := json.Unmarshal(data, &typed); err != nil {
			t.Errorf("decode as the client does: %v", err)
		}
	}
}

func TestSummary(t *testing.T) {
	s := toSummary(running(), now)
	if s.Names[0] != "/web" || s.Command != "/entry -g 'daemon off;'" || s.Status != "Up 5 seconds" || s.State != "running" || len(s.Ports) != 2 {
		t.Errorf("got %+v", s)
	}
	data, err := json.Marshal(toSummary(created(), now))
	if err != nil {
		t.Fatal(err)
	}
	var back container.Summary
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	if !bytes.Contains(data, []byte(`"Ports":[]`)) || back.NetworkSettings.Networks["bridge"] == nil {
		t.Errorf("got %s", data)
	}
}

func TestSplitCommand(t *testing.T) {
	image := &ocispec.ImageConfig{Entrypoint: []string{"sh", "-c"}}
	for _, tt := range []struct {
		entrypoint, command []string
		image               *ocispec.ImageConfig
		want                int // words of "a b c" that are the entrypoint
	}{
		{nil, nil, nil, 0},
		{nil, nil, image, 2},
		{[]string{"a"}, nil, image, 1},
		{[]string{}, nil, image, 0},
		{nil, []string{"c"}, nil, 2},
		{nil, []string{"too", "many", "words", "here"}, nil, 0},
	} {
		entrypoint, command := splitCommand(engine.Snapshot{Path: "a", Args: []string{"b", "c"},
			Spec: engine.Spec{Entrypoint: tt.entrypoint, Command: tt.command}}, tt.image)
		if len(entrypoint) != tt.want || len(command) != 3-tt.want {
			t.Errorf("%v: got %v and %v", tt, entrypoint, command)
		}
	}
}

func TestTop(t *testing.T) {
	top := toTop([]engine.ProcessInfo{{Pid: 12, Parent: 1, User: "root", Command: "sleep 9", StartedAt: now.Add(-2 * time.Hour), CPU: time.Hour + 61*time.Second}}, now)
	if len(top.Titles) != len(top.Processes[0]) {
		t.Fatal("titles and columns differ in number")
	}
	if got := top.Processes[0]; got[1] != "12" || got[3] != "50" || got[6] != "01:01:01" || got[7] != "sleep 9" {
		t.Errorf("got %v", got)
	}
}
