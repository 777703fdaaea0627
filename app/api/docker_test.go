package api

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skerry-app/skerry/engine"
	"github.com/skerry-app/skerry/engine/vm"
)

// noMachines is a driver on a host that cannot run machines.
type noMachines struct{}

func (noMachines) Name() string { return "none" }

// Parallel implements vm.Driver.
func (noMachines) Parallel() bool { return true }

func (noMachines) New(context.Context, vm.Config) (vm.Machine, error) {
	return nil, errors.New("open /dev/kvm: no such file or directory")
}

func (noMachines) Check(context.Context) []vm.Finding {
	return []vm.Finding{{Subject: "/dev/kvm", Detail: "absent", Fix: "enable virtualization"}}
}

// serveEngine runs the whole server with a real engine that has nothing yet.
func serveEngine(t *testing.T) (path string) {
	t.Helper()
	dir := t.TempDir()
	kernel := filepath.Join(dir, "kernel")
	if err := os.WriteFile(kernel, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := engine.Open(context.Background(), engine.Options{Home: filepath.Join(dir, "home"), Kernel: kernel, InitImage: kernel,
		Driver: noMachines{}, Log: slog.New(slog.DiscardHandler), Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(shortDir(t), "d.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- New(e, Options{Version: "1.2.3"}).Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		closing, done := context.WithTimeout(context.Background(), testTimeout)
		defer done()
		if err := e.Close(closing); err != nil {
			t.Error(err)
		}
	})
	return path
}

// docker runs the real docker command and returns its output and exit status.
func docker(t *testing.T, socket string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	program, err := exec.LookPath("docker")
	if err != nil {
		t.Skip("the docker command is not here: install docker-cli")
	}
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST=unix://"+socket, "DOCKER_CONFIG="+t.TempDir(), "DOCKER_CLI_HINTS=false")
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatalf("docker %v: %v", args, err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

func TestDockerCommandWithoutContainers(t *testing.T) {
	socket := serveEngine(t)
	for _, tt := range []struct {
		args   string
		stdout string // contained in it; "=" before it: all of it
		stderr string
		code   int
	}{
		{"version --format {{.Server.Version}}/{{.Server.MinAPIVersion}}/{{.Server.Os}}", "=1.2.3/1.44/linux\n", "", 0},
		{"version", "Skerry", "", 0},
		{"info", "Hypervisor: none", "", 0},
		{"info --format {{.OSType}}/{{.Containers}}/{{.Images}}/{{.DefaultRuntime}}/{{.Swarm.LocalNodeState}}", "=linux/0/0/skerry/inactive\n", "", 0},
		{"ps -a", "=CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n", "", 0},
		{"ps --filter nonsense=1", "", "invalid filter 'nonsense'", 1},
		{"images -q", "=", "", 0},
		{"network ls --format {{.Name}}/{{.Driver}}", "=bridge/bridge\n", "", 0},
		{"network inspect bridge --format {{.Name}}", "=bridge\n", "", 0},
		{"network inspect nonsense", "", "network nonsense not found", 1},
		{"network create n", "", "creating networks is not implemented yet", 1},
		{"volume ls -q", "=", "", 0},
		{"volume create data", "=data\n", "", 0},
		{"volume create v", "", "includes invalid characters for a local volume name", 1},
		{"volume create -d nfs data", "", "the volume driver nfs is not implemented yet", 1},
		{"volume create -d nbd disk", "", "needs the option url=nbd://host/export", 1},
		{"volume create -o url=nbd://host/x disk", "", "it belongs to the driver nbd", 1},
		{"volume create -d nbd -o url=nbd://me:secret@host/x disk", "", "has a user", 1},
		{"volume create -d nbd -o url=nbd://host/x disk", "=disk\n", "", 0},
		{"volume create -d nbd -o url=nbd://HOST:10809/%78 disk", "=disk\n", "", 0},
		{"volume create disk", "", "is the network block device nbd://host:10809/x: remove it first", 1},
		{"volume inspect disk --format {{.Driver}}/{{.Scope}}/{{.Options}}", "=nbd/local/map[url:nbd://host:10809/x]\n", "", 0},
		{"volume ls -q -f driver=nbd", "=disk\n", "", 0},
		{"volume rm disk", "=disk\n", "", 0},
		{"volume ls -q -f dangling=true", "=data\n", "", 0},
		{"volume ls -q -f dangling=false", "=", "", 0},
		{"volume inspect data --format {{.Driver}}/{{.Scope}}", "=local/local\n", "", 0},
		{"volume prune -f", "0B", "", 0},
		{"volume prune -a -f", "data", "", 0},
		{"volume rm data", "", "get data: no such volume", 1},
		{"volume rm -f data", "=data\n", "", 0},
		{"plugin ls -q", "=", "", 0},
		{"inspect nonsense", "", "No such object: nonsense", 1},
		{"inspect --type container nonsense", "", "No such container: nonsense", 1},
		{"image inspect nonsense", "", "nonsense", 1},
		{"logs nonsense", "", "No such container: nonsense", 1},
		{"attach nonsense", "", "No such container: nonsense", 1},
		{"exec nonsense true", "", "No such container: nonsense", 1},
		{"start nonsense", "", "No such container: nonsense", 1},
		{"stop nonsense", "", "No such container: nonsense", 1},
		{"wait nonsense", "", "No such container: nonsense", 1},
		{"rm nonsense", "", "No such container: nonsense", 1},
		{"rmi nonsense", "", "nonsense", 1},
		{"stats --no-stream nonsense", "", "No such container: nonsense", 1},
		{"cp nonsense:/a /tmp/b", "", "No such container: nonsense", 1},
		{"run -v /a:/b:shared nonsense", "", "the mount propagation shared is not implemented yet", 125},
		{"run --network host nonsense", "", "the host's network for containers is not implemented yet", 125},
		{"run --network nonsense --pull never x", "", "network nonsense", 125},
		{"run --pull never nonsense", "", "nonsense", 125},
		{"create --pull never nonsense", "", "nonsense", 1},
		{"events --since 2020-01-01T00:00:00Z --until 2020-01-02T00:00:00Z", "=", "", 0},
	} {
		t.Run(tt.args, func(t *testing.T) {
			stdout, stderr, code := docker(t, socket, strings.Fields(tt.args)...)
			want, whole := strings.CutPrefix(tt.stdout, "=")
			if code != tt.code || whole && stdout != want || !strings.Contains(stdout, want) || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("got %d, stdout %q, stderr %q", code, stdout, stderr)
			}
		})
	}
}

func TestSkerrysOwn(t *testing.T) {
	c := httpClient(t, serveEngine(t))
	if code, body := do(t, c, "GET", "/skerry/doctor", ""); code != 200 || !strings.Contains(body, `{"ok":false,"subject":"/dev/kvm","detail":"absent","fix":"enable virtualization"}`) {
		t.Errorf("doctor: got %d %s", code, body)
	}
	if code, body := do(t, c, "GET", "/skerry/version", ""); code != 200 || !strings.Contains(body, `"version":"1.2.3","driver":"none"`) {
		t.Errorf("version: got %d %s", code, body)
	}
}

// Events that are over are at the end of a stream that has an end.
func TestEventsUntil(t *testing.T) {
	c := httpClient(t, serveEngine(t))
	soon := time.Now().Add(50 * time.Millisecond).UTC().Format(time.RFC3339Nano)
	if code, body := do(t, c, "GET", "/events?until="+soon, ""); code != 200 || body != "" {
		t.Errorf("got %d %q", code, body)
	}
}
