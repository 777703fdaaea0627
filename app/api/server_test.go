package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/google/go-cmp/cmp"
)

// httpClient speaks to a unix socket; any host name does in URLs.
func httpClient(t *testing.T, path string) *http.Client {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: testTimeout}
}

// do makes a request and returns the answer's status and body.
func do(t *testing.T, c *http.Client, method, target, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://d"+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return send(t, c, req)
}

func send(t *testing.T, c *http.Client, req *http.Request) (int, string) {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(data))
}

func TestPing(t *testing.T) {
	path, _ := serve(t, Options{Version: "1.2.3"}, nil)
	c := httpClient(t, path)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		req, err := http.NewRequest(method, "http://d/_ping", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := map[string]string{http.MethodGet: "OK"}[method]; string(body) != want || resp.StatusCode != 200 {
			t.Errorf("%s: got %s %q", method, resp.Status, body)
		}
		for key, want := range map[string]string{"Api-Version": maxVersion, "Ostype": "linux", "Docker-Experimental": "false",
			"Server": "Skerry/1.2.3 (linux)", "Swarm": "inactive", "Cache-Control": "no-cache, no-store, must-revalidate"} {
			if got := resp.Header.Get(key); got != want {
				t.Errorf("%s %s: got %q, want %q", method, key, got, want)
			}
		}
	}
}

// Nothing that Docker has is met with silence: it is there, or 501, by name.
func TestMissingFeatures(t *testing.T) {
	path, _ := serve(t, Options{}, nil)
	c := httpClient(t, path)
	for _, tt := range []struct {
		request string
		code    int
		message string
	}{
		{"POST /build", 501, "building images is not implemented yet"},
		{"POST /v1.50/build/prune", 501, "building images is not implemented yet"},
		{"POST /images/docker.io/library/a/push", 501, "pushing all tags of an image is not implemented yet"},
		{"GET /images/search", 501, "searching for images is not implemented yet"},
		{"POST /images/prune?filters={%22until%22:[%221h%22]}", 400, "invalid filter 'until'"},
		{"POST /commit", 501, "making images from containers is not implemented yet"},
		{"GET /containers/x/archive", 400, "bad parameter: path: cannot be empty"},
		{"HEAD /containers/x/archive", 400, ""},
		{"PUT /containers/x/archive", 400, "bad parameter: path: cannot be empty"},
		{"GET /containers/x/export", 501, "exporting containers is not implemented yet"},
		{"GET /containers/x/changes", 501, "listing a container's changes is not implemented yet"},
		{"POST /containers/x/update", 400, "the request has no body"},
		{"POST /containers/prune", 501, "pruning containers is not implemented yet"},
		{"GET /containers/json?size=1", 501, "sizes of containers are not implemented yet"},
		{"POST /networks/create", 501, "creating networks is not implemented yet"},
		{"POST /volumes/create", 400, "the request has no body"},
		{"GET /volumes?filters={%22x%22:[%22y%22]}", 400, "invalid filter 'x'"},
		{"POST /swarm/init", 501, "swarm mode is not implemented yet"},
		{"GET /services", 501, "swarm mode is not implemented yet"},
		{"GET /secrets/x", 501, "swarm secrets are not implemented yet"},
		{"POST /plugins/pull", 501, "plugins are not implemented yet"},
		{"GET /system/df", 501, "showing disk usage is not implemented yet"},
		{"POST /session", 501, "building images is not implemented yet"},
		{"GET /distribution/a/b/json", 501, "inspecting images in a registry is not implemented yet"},
		{"GET /skerry/projects", 501, "projects are not implemented yet"},
		{"POST /skerry/quit", 501, "ending the app from here is not implemented yet"},
		{"GET /", 404, "page not found"},
		{"GET /v1.50/nonsense", 404, "page not found"},
		{"PATCH /containers/json", 404, "page not found"},
		{"GET /images/a/nonsense", 404, "page not found"},
		{"GET /v1.20/info", 400, "client version 1.20 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version"},
		{"GET /plugins/p/json", 404, `plugin "p" not found`},
		{"GET /containers/json?filters={%22x%22:[%22y%22]}", 400, "invalid filter 'x'"},
		{"GET /events?filters={%22x%22:[%22y%22]}", 400, "invalid filter 'x'"},
		{"GET /events?since=9&until=5", 400, "`since` time (9) cannot be after `until` time (5)"},
		{"GET /containers/x/logs", 400, "Bad parameters: you must choose at least one stream"},
		{"GET /containers/x/logs?stdout=1&tail=x", 400, `tail="x" is not a number of lines`},
		{"POST /containers/create", 400, "the request has no body"},
		{"GET /containers/x/top?ps_args=aux", 501, "arguments for ps are not implemented yet"},
	} {
		method, target, _ := strings.Cut(tt.request, " ")
		code, body := do(t, c, method, target, "")
		var answer struct{ Message string }
		if method != http.MethodHead {
			if err := json.Unmarshal([]byte(body), &answer); err != nil {
				t.Errorf("%s: %q: %v", tt.request, body, err)
			}
		}
		if code != tt.code || answer.Message != tt.message {
			t.Errorf("%s: got %d %q, want %d %q", tt.request, code, answer.Message, tt.code, tt.message)
		}
	}
	if code, body := do(t, c, "GET", "/plugins", ""); code != 200 || body != "[]" {
		t.Errorf("plugins: got %d %s", code, body)
	}
}

func TestBodyIsBounded(t *testing.T) {
	path, _ := serve(t, Options{}, nil)
	code, body := do(t, httpClient(t, path), "POST", "/containers/create", `{"Image":"`+strings.Repeat("x", maxBody)+`"}`)
	if code != 400 || !strings.Contains(body, "larger than 4194304 bytes") {
		t.Errorf("got %d %s", code, body)
	}
}

// One mistake does not take the app down, and its details stay in the log.
func TestPanicInHandler(t *testing.T) {
	var log bytes.Buffer
	path, stop := serve(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, map[string]func(*Server) handlerFunc{
		"GET /panic": func(*Server) handlerFunc {
			return func(http.ResponseWriter, *http.Request) error { panic("secret detail") }
		}})
	c := httpClient(t, path)
	if code, body := do(t, c, "GET", "/panic", ""); code != 500 || strings.Contains(body, "secret") {
		t.Errorf("got %d %s", code, body)
	}
	if code, _ := do(t, c, "GET", "/_ping", ""); code != 200 {
		t.Errorf("the server answers %d afterwards", code)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "secret detail") || !strings.Contains(log.String(), "server_test.go") {
		t.Errorf("log: %s", log.String())
	}
}

func TestQuitAnswersFirst(t *testing.T) {
	quit := make(chan struct{})
	path, _ := serve(t, Options{Quit: func() { close(quit) }}, nil)
	if code, _ := do(t, httpClient(t, path), "POST", "/skerry/quit", ""); code != http.StatusAccepted {
		t.Errorf("got %d", code)
	}
	<-quit
}

// projects is a Projects that reports what it is asked.
type projects struct{}

func (projects) Up(_ context.Context, r ProjectRequest, progress func(ProjectProgress)) error {
	switch r.File {
	case "/bad.toml":
		return errdefs.ErrInvalidArgument.WithMessage("/bad.toml:1:1: no")
	case "/late.toml":
		progress(ProjectProgress{Container: "web", Status: "starting"})
		return errors.New("web did not start")
	}
	progress(ProjectProgress{Container: "web", Status: "pulling", Current: 5, Total: 10})
	progress(ProjectProgress{Status: "running", Detail: fmt.Sprint(r.Env, r.Names)})
	return nil
}

func (projects) Down(_ context.Context, _ ProjectRequest, progress func(ProjectProgress)) error {
	progress(ProjectProgress{Container: "web", Status: "removed"})
	return nil
}

func (projects) Plan(_ context.Context, r ProjectRequest) ([]ProjectChange, error) {
	if r.File == "/bad.toml" {
		return nil, errdefs.ErrInvalidArgument.WithMessage("/bad.toml:1:1: no")
	}
	return []ProjectChange{{Container: "web", Action: ProjectRestart, Keys: []string{"image"}}}, nil
}

func (projects) List(context.Context) ([]ProjectStatus, error) {
	return []ProjectStatus{{Name: "shop", File: "/shop/skerry.toml", Containers: []ProjectContainer{{Name: "web", Status: "absent"}}}}, nil
}

func TestProjects(t *testing.T) {
	path, _ := serve(t, Options{Projects: projects{}}, nil)
	c := httpClient(t, path)
	for _, tt := range []struct {
		request, body string
		code          int
		want          string
	}{
		{"POST /skerry/projects/up", `{"file":"/shop.toml","env":{"A":"b"},"names":["web"]}`, 200,
			`{"container":"web","status":"pulling","current":5,"total":10}` + "\n" + `{"status":"running","detail":"map[A:b] [web]"}` + "\n" + `{"done":true}`},
		{"POST /skerry/projects/up", `{"file":"/bad.toml"}`, 400, `{"message":"/bad.toml:1:1: no"}`},
		{"POST /skerry/projects/up", `{"file":"/late.toml"}`, 200, `{"container":"web","status":"starting"}` + "\n" + `{"error":"web did not start"}`},
		{"POST /skerry/projects/up", `{"file":"skerry.toml"}`, 400, `{"message":"project file \"skerry.toml\": give an absolute path"}`},
		{"POST /skerry/projects/up", `{`, 400, `{"message":"the request's body is not what it should be: unexpected end of JSON input"}`},
		{"POST /skerry/projects/down", `{"file":"/shop.toml"}`, 200, `{"container":"web","status":"removed"}` + "\n" + `{"done":true}`},
		{"POST /skerry/projects/plan", `{"file":"/shop.toml"}`, 200, `[{"container":"web","action":"restart","keys":["image"]}]`},
		{"POST /skerry/projects/plan", `{"file":"/bad.toml"}`, 400, `{"message":"/bad.toml:1:1: no"}`},
		{"GET /skerry/projects", ``, 200, `[{"name":"shop","file":"/shop/skerry.toml","containers":[{"name":"web","status":"absent"}]}]`},
	} {
		method, target, _ := strings.Cut(tt.request, " ")
		code, body := do(t, c, method, target, tt.body)
		if diff := cmp.Diff(tt.want, body); code != tt.code || diff != "" {
			t.Errorf("%s %s: got %d, %s", tt.request, tt.body, code, diff)
		}
	}
}

func TestListen(t *testing.T) {
	dir := filepath.Join(shortDir(t), "run")
	path := filepath.Join(dir, "d.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{dir: 0o700 | os.ModeDir, path: 0o600 | os.ModeSocket} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "another app listens") {
		t.Errorf("a second listener: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // as after kill -9
	l.Close()
	l, err = Listen(path)
	if err != nil {
		t.Fatalf("a stale socket: %v", err)
	}
	l.Close()
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file in the way: %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "data" {
		t.Errorf("the file is gone: %q, %v", data, err)
	}
	if _, err := Listen("/tmp/" + strings.Repeat("x", 110)); err == nil || !strings.Contains(err.Error(), "SKERRY_HOME") {
		t.Errorf("a long path: %v", err)
	}
}
