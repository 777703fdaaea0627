package skerryfile

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// project writes files into a directory called shop and loads its project.
func project(t *testing.T, files map[string]string) (*Project, string, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Load(filepath.Join(dir, Name), Options{Lookup: lookup, Version: "0.3.1"})
	return p, dir, err
}

func seconds(n int) *time.Duration {
	d := time.Duration(n) * time.Second
	return &d
}

func TestLoad(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		want  Project
	}{
		{"the least", map[string]string{Name: "[containers.web]\nimage = 'nginx'\n"},
			Project{Name: "shop", Containers: []*Container{{Name: "web", Image: "nginx", Hostname: "web", PullPolicy: PullMissing}}}},

		{"every key", map[string]string{"src/x": "", Name: `
name = "all"
start_at_login = true
requires = ">= 0.3"
[containers.web]
image = "ex.test/acme/shop@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
platform = "linux/arm64/v8"
pull_policy = "always"
command = "serve --title 'two words' \"$$HOME\""
entrypoint = []
environment = { DEBUG = true, N = 3, F = 0.5, URL = "${SET}", EMPTY = "" }
working_dir = "/app"
user = 1000
hostname = "www.example"
read_only = true
tty = true
privileged = true
cpus = 1.5
memory = "1G"
ports = ["8080:80", "127.0.0.1:9000-9001:90-91", "0.0.0.0:81:81/tcp", "82"]
network = "project"
extra_hosts = { db = "10.0.0.5", gw = "host-gateway" }
web_port = 8080
depends_on = { db = "started" }
stop_signal = "sigint"
volumes = ["./src:/app", "data:/var/lib/data:ro", { source = "logs", target = "/logs", read_only = true }, ".:/here", "/:/host:ro"]
tmpfs = ["/run", "/tmp:size=64m,exec"]
disk = "1g"
shm_size = "128m"
ulimits = { nofile = 1024, core = { soft = 0, hard = -1 } }
sysctls = { "net.core.somaxconn" = 1024, net.ipv4.tcp_syncookies = true }
cap_add = ["NET_ADMIN"]
cap_drop = ["ALL"]
dns = ["1.1.1.1", "::1"]
ssh = true
kernel = "src/x"
virtualization = true
restart = "on-failure:3"
healthcheck = { http = ":8080/ready", interval = "5s", timeout = "2s", retries = 10, start_period = "1m", start_interval = "1s" }
stop_grace_period = "1m30s"
labels = { team = "blue", n = 1 }
manual = true
[containers.db]
image = "postgres"
healthcheck = { disable = true }
restart = "no"
network = "none"
[containers.job]
image = "job"
healthcheck = { test = "pg_isready -U $$USER" }
depends_on = { db = "completed", web = "healthy" }
[volumes.data]
size = "20g"
[volumes.logs]
external = true
[volumes.remote]
url = "nbd://${NBD_HOST:-STORE}/%64ata"
`}, Project{Name: "all", StartAtLogin: true, Volumes: []Volume{{Name: "data", Size: 20 << 30}, {Name: "logs", External: true}, {Name: "remote", NBD: "nbd://store:10809/data"}}, Containers: []*Container{
			{Name: "db", Image: "postgres", Hostname: "db", PullPolicy: PullMissing, Network: "none", Health: &HealthCheck{Test: []string{"NONE"}}},
			{Name: "job", Image: "job", Hostname: "job", PullPolicy: PullMissing, Health: &HealthCheck{Test: []string{"CMD-SHELL", "pg_isready -U $USER"}},
				DependsOn: []Dependency{{Name: "db", Condition: ConditionCompleted}, {Name: "web", Condition: ConditionHealthy}}},
			{Name: "web", Image: "ex.test/acme/shop@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
				Platform: "linux/arm64/v8", PullPolicy: PullAlways,
				Command: []string{"serve", "--title", "two words", "$HOME"}, Entrypoint: []string{},
				Environment: []string{"DEBUG=true", "EMPTY=", "F=0.5", "N=3", "URL=value"},
				WorkingDir:  "/app", User: "1000", Hostname: "www.example", ReadOnly: true, TTY: true, Privileged: true,
				CPUs: 1.5, Memory: 1 << 30,
				Ports: []Port{
					{HostPort: 8080, Container: 80},
					{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 9000, Container: 90},
					{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 9001, Container: 91},
					{HostIP: netip.MustParseAddr("0.0.0.0"), HostPort: 81, Container: 81},
					{Container: 82},
				},
				ExtraHosts: []string{"db:10.0.0.5", "gw:host-gateway"}, WebPort: 8080, DependsOn: []Dependency{{Name: "db", Condition: ConditionStarted}},
				Mounts: []Mount{{Bind: true, Source: "SHOP/src", Target: "/app"}, {Source: "data", Target: "/var/lib/data", ReadOnly: true},
					{Source: "logs", Target: "/logs", ReadOnly: true}, {Bind: true, Source: "SHOP", Target: "/here"}, {Bind: true, Source: "/", Target: "/host", ReadOnly: true}},
				Tmpfs: map[string]string{"/run": "", "/tmp": "size=64m,exec"}, Disk: 1 << 30, ShmSize: 128 << 20,
				Ulimits: []Ulimit{{"nofile", 1024, 1024}, {"core", 0, -1}},
				Sysctls: map[string]string{"net.core.somaxconn": "1024", "net.ipv4.tcp_syncookies": "true"},
				CapAdd:  []string{"NET_ADMIN"}, CapDrop: []string{"ALL"}, DNS: []netip.Addr{netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("::1")}, SSH: true,
				Kernel: "SHOP/src/x", Virtualization: true,
				Restart: Restart{"on-failure", 3},
				Health: &HealthCheck{Test: []string{"HTTP", "8080", "/ready"}, Interval: 5 * time.Second, Timeout: 2 * time.Second, Retries: 10,
					StartPeriod: time.Minute, StartInterval: time.Second},
				StopSignal: "sigint", StopGracePeriod: seconds(90),
				Labels: map[string]string{"team": "blue", "n": "1"}, Manual: true},
		}}},

		{"defaults: tables merge, the rest replaces", map[string]string{Name: `
[defaults]
image = "base"
environment = { A = "1", B = "1" }
command = ["x", "y"]
[containers.a]
environment = { B = "2", C = "2" }
[containers.b]
image = "own"
command = ["z"]
`}, Project{Name: "shop", Containers: []*Container{
			{Name: "a", Image: "base", Hostname: "a", PullPolicy: PullMissing, Command: []string{"x", "y"}, Environment: []string{"A=1", "B=2", "C=2"}},
			{Name: "b", Image: "own", Hostname: "b", PullPolicy: PullMissing, Command: []string{"z"}, Environment: []string{"A=1", "B=1"}},
		}}},

		{"overlay", map[string]string{Name: `
[containers.web]
image = "web:1"
environment = { A = "1", B = "1" }
`, OverlayName: `
[containers.web]
image = "web:dev"
environment.B = "2"
[containers.extra]
image = "extra"
`}, Project{Name: "shop", Containers: []*Container{
			{Name: "extra", Image: "extra", Hostname: "extra", PullPolicy: PullMissing},
			{Name: "web", Image: "web:dev", Hostname: "web", PullPolicy: PullMissing, Environment: []string{"A=1", "B=2"}},
		}}},

		{"variables and environment files", map[string]string{
			".env":     "# comment\nexport TAG=1.2 # latest\nSET=shadowed\n",
			"conf/web": "A=file\nB='single $X'\nC=\"two\\nlines\"\n\n D = spaced \n",
			Name: "[containers.web]\nimage = 'web:${TAG}'\nenv_file = ['conf/web', { path = 'missing', required = false }]\n" +
				"environment = { A = '${SET}', E = '${EMPTY:-default}', F = '${NO:-${TAG}}' }\n",
		}, Project{Name: "shop", EnvFiles: []string{"SHOP/conf/web"}, Containers: []*Container{
			{Name: "web", Image: "web:1.2", Hostname: "web", PullPolicy: PullMissing,
				Environment: []string{"A=value", "B=single $X", "C=two\nlines", "D=spaced", "E=default", "F=1.2"}},
		}}},

		{"dotted and inline tables", map[string]string{Name: "\ufeffcontainers.\"web\" = { image = 'w', labels.\"a.b\" = 'c' }\ncontainers.db.image = \"\"\"\\\n  d\"\"\"\n"},
			Project{Name: "shop", Containers: []*Container{
				{Name: "db", Image: "d", Hostname: "db", PullPolicy: PullMissing},
				{Name: "web", Image: "w", Hostname: "web", PullPolicy: PullMissing, Labels: map[string]string{"a.b": "c"}},
			}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, dir, err := project(t, test.files)
			if err != nil {
				t.Fatal(err)
			}
			test.want.File = filepath.Join(dir, Name)
			for i, file := range test.want.EnvFiles {
				test.want.EnvFiles[i] = strings.Replace(file, "SHOP", dir, 1)
			}
			for _, c := range test.want.Containers {
				c.Kernel = strings.Replace(c.Kernel, "SHOP", dir, 1)
				for i := range c.Mounts {
					c.Mounts[i].Source = strings.Replace(c.Mounts[i].Source, "SHOP", dir, 1)
				}
			}
			options := cmp.Options{cmpopts.IgnoreUnexported(Container{}, Port{}, Dependency{}, Mount{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })}
			if diff := cmp.Diff(test.want, *got, options); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestExample keeps what users are given to start from in order.
func TestExample(t *testing.T) {
	p, err := Load("../../examples/hello/skerry.toml", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "hello" || len(p.Containers) != 1 || p.Containers[0].Image != "localhost:5000/skerry/hello:latest" {
		t.Errorf("got %+v", p)
	}
}

func TestProblemsOfOtherFiles(t *testing.T) {
	_, dir, err := project(t, map[string]string{
		Name:        "[containers.web]\nimage = \"web\"\nports = [\"80:80\"]\nenv_file = \"vars\"\nuser = 1.5\n",
		OverlayName: "[containers.db]\nimage = \"db\"\nports = [\"80:81\"]\nprots = []\n",
		".env":      "A=1\nno equals sign\n",
		"vars":      "B=\"open\n",
	})
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v", err)
	}
	var text strings.Builder
	problems.Print(&text, dir, true)
	want := `skerry.toml:3:10: host port 80 is already published by "db" (line 3 of skerry.local.toml)
     3 | ports = ["80:80"]
       |          ^
skerry.toml:5:8: user must be a user such as "postgres", "1000:1000" or 1000, not the number 1.5
     5 | user = 1.5
       |        ^
skerry.local.toml:4:1: unknown key "prots" in [containers.db]; did you mean "ports"?
     4 | prots = []
       | ^
.env:2:1: expected KEY=value, not "no equals sign"
     2 | no equals sign
       | ^
vars:1:1: the value of B has no closing quote
     1 | B="open
       | ^
5 problems; nothing was started
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFind(t *testing.T) {
	_, dir, err := project(t, map[string]string{Name: "[containers.web]\nimage = 'x'\n", "src/deep/main.go": ""})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Find(filepath.Join(dir, "src", "deep")); err != nil || got != filepath.Join(dir, Name) {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := Find(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no skerry.toml in") {
		t.Errorf("got %v", err)
	}
}

func TestLoadErrors(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), Name), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	big := filepath.Join(t.TempDir(), Name)
	if err := os.WriteFile(big, make([]byte, maxFileSize+1), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(big, Options{}); err == nil || !strings.Contains(err.Error(), "more than the") {
		t.Errorf("a huge file: %v", err)
	}
}

func TestOrder(t *testing.T) {
	p, _, err := project(t, map[string]string{Name: `
[defaults]
image = "x"
[containers.a]
depends_on = ["c"]
[containers.b]
[containers.c]
depends_on = ["d", "b"]
[containers.d]
`})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range p.Order() {
		got = append(got, c.Name)
	}
	if diff := cmp.Diff([]string{"b", "d", "c", "a"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNameFromDirectory(t *testing.T) {
	for dir, want := range map[string]string{
		"/code/shop": "shop", "/code/My Shop.v2": "my-shop-v2", "/": "project", "/code/--": "project", "/code/NAT": "nat-project",
		"/code/Größe": "gre", "/" + strings.Repeat("a", 62) + "--b": strings.Repeat("a", 62),
	} {
		if got := nameFromDirectory(dir); got != want {
			t.Errorf("%s: got %q, want %q", dir, got, want)
		}
	}
}
