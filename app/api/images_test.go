package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/jsonstream"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-app/skerry/registry/registrytest"
)

// testImage has what the API shows of images.
func testImage() registrytest.Image {
	return registrytest.Image{
		Config: ocispec.Image{Config: ocispec.ImageConfig{Entrypoint: []string{"/entry"}, Cmd: []string{"serve", "now"}, Env: []string{"A=b"},
			ExposedPorts: map[string]struct{}{"443/tcp": {}}, Labels: map[string]string{"from": "image", "both": "image"}}},
		Layers: []registrytest.Layer{{Files: []registrytest.File{{Name: "entry", Body: []byte("#!/bin/sh\n"), Mode: 0o755}}}},
	}
}

// From the registry to a container and back, with the real docker command, as
// far as it goes without a machine.
func TestDockerCommandWithAnImage(t *testing.T) {
	remote := registrytest.Start(t, registrytest.Options{})
	if _, err := remote.Push(context.Background(), "team/app", "1", testImage()); err != nil {
		t.Fatal(err)
	}
	ref := remote.Host + "/team/app:1"
	socket := serveEngine(t)
	for _, tt := range []struct {
		args   string
		stdout string // contained in it; "=" before it: all of it
		stderr string
		code   int
	}{
		{"pull " + remote.Host + "/team/none", "", "team/none", 1},
		{"pull " + ref, "Pull complete", "", 0},
		{"pull " + ref, "Image is up to date for " + ref, "", 0},
		{"pull -a " + remote.Host + "/team/app", "", "pulling all tags of an image is not implemented yet", 1},
		{"images --format {{.Repository}}:{{.Tag}}", "=" + ref + "\n", "", 0},
		{"images -q -f reference=*/team/app", "", "", 0},
		{"images -q -f reference=nonsense", "=", "", 0},
		{"images -q -f dangling=true", "=", "", 0},
		{"images -q -f label=from=other", "=", "", 0},
		{"tag " + ref + " local/app:2", "=", "", 0},
		{"tag nonsense local/app:3", "", "nonsense", 1},
		{"image inspect -f {{.Config.Entrypoint}}{{.RootFS.Type}}{{.RepoTags|len}} local/app:2", "=[/entry]layers2\n", "", 0},
		{"image inspect -f {{.RepoDigests|len}} " + ref, "=1\n", "", 0},
		{"history -q " + ref, "", "", 0},
		{"create --name web -P --label both=mine -m 64m --cpus 1 " + ref + " other", "", "", 0},
		{"create --name web " + ref, "", "already in use", 1},
		{"ps -a --format {{.Names}}|{{.Image}}|{{.Command}}|{{.Status}}", "=web|" + ref + "|\"/entry other\"|Created\n", "", 0},
		{"ps -aq -f ancestor=local/app:2 -f status=created -f label=from", "", "", 0},
		{"ps -q", "=", "", 0},
		{"ps -aq -f label=nonsense", "=", "", 0},
		{"inspect -f {{.Config.Entrypoint}}{{.Config.Cmd}} web", "=[/entry][other]\n", "", 0},
		{"inspect -f {{.Config.Labels|json}} web", `={"both":"mine","from":"image"}` + "\n", "", 0},
		{"inspect -f {{.NetworkSettings.Ports|json}}{{.HostConfig.PortBindings|json}} web", `={"443/tcp":null}{"443/tcp":[{"HostIp":"","HostPort":""}]}` + "\n", "", 0},
		{"inspect -f {{.HostConfig.Memory}} web", "=67108864\n", "", 0},
		{"rename web site", "=", "", 0},
		{"stop site", "=site\n", "", 0},
		{"kill site", "", "is not running", 1},
		{"pause site", "", "is not running", 1},
		{"exec site true", "", "is not running", 1},
		{"top site", "", "is not running", 1},
		{"logs site", "=", "", 0},
		{"start site", "", "", 1},
		{"inspect -f {{.State.Status}}|{{.State.ExitCode}} site", "=exited|125\n", "", 0},
		{"wait site", "=125\n", "", 0},
		{"run --rm --name gone " + ref, "", "", 125}, // the driver's error has words that stand for 127
		{"ps -aq -f name=gone", "=", "", 0},
		{"rmi " + ref, "Untagged: " + ref, "", 0},
		{"rmi local/app:2", "", "conflict", 1},
		{"rm site", "=site\n", "", 0},
		{"rmi local/app:2", "Deleted: sha256:", "", 0},
		{"images -q", "=", "", 0},
	} {
		stdout, stderr, code := docker(t, socket, strings.Fields(tt.args)...)
		want, whole := strings.CutPrefix(tt.stdout, "=")
		if code != tt.code || whole && stdout != want || !strings.Contains(stdout, want) || !strings.Contains(stderr, tt.stderr) {
			t.Errorf("docker %s: got %d, stdout %q, stderr %q", tt.args, code, stdout, stderr)
		}
	}
	// What happened can be asked for afterwards.
	query := url.Values{"since": {"1"}, "until": {time.Now().UTC().Format(time.RFC3339Nano)}, "filters": {`{"event":["rename"]}`}}
	code, body := do(t, httpClient(t, socket), "GET", "/events?"+query.Encode(), "")
	if code != 200 || strings.Count(body, "\n") != 0 || !strings.Contains(body, `"oldName":"/web"`) {
		t.Errorf("events: got %d %s", code, body)
	}
}

// The messages of a pull, its credentials and its errors, before anything was
// sent and after.
func TestPullStream(t *testing.T) {
	remote := registrytest.Start(t, registrytest.Options{Username: "me", Password: "secret"})
	image := testImage()
	want, err := remote.Push(context.Background(), "team/app", "1", image)
	if err != nil {
		t.Fatal(err)
	}
	socket := serveEngine(t)
	query := "?fromImage=" + url.QueryEscape(remote.Host+"/team/app") + "&tag=1"
	if code, body := pull(t, socket, query, ""); code != http.StatusForbidden {
		t.Errorf("without credentials: got %d %s", code, body)
	}
	remote.Inject(registrytest.Fault{Request: "GET /v2/team/app/blobs/", Do: registrytest.Corrupt()})
	auth := `{"username":"me","password":"secret"}`
	code, body := pull(t, socket, query, auth)
	if last := messages(t, body); code != 200 || last[len(last)-1].Error == nil || !strings.Contains(body, `"error":"`) {
		t.Errorf("damaged: got %d %s", code, body)
	}
	remote.Repair()
	// Credentials as one word are older clients'.
	code, body = pull(t, socket, query, `{"auth":"`+base64.StdEncoding.EncodeToString([]byte("me:secret"))+`"}`)
	all := messages(t, body)
	if code != 200 || all[0].Status != "Pulling from team/app" || all[0].ID != "1" {
		t.Fatalf("got %d %s", code, body)
	}
	seen := map[string]bool{}
	for _, m := range all {
		seen[m.Status] = true
	}
	for _, text := range []string{"Pulling fs layer", "Pull complete", "Digest: " + want.String(), "Status: Downloaded newer image for " + remote.Host + "/team/app:1"} {
		if !seen[text] {
			t.Errorf("no message %q in %s", text, body)
		}
	}
}

// pull makes the request of a pull.
func pull(t *testing.T, socket, query, auth string) (code int, body string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://d/images/create"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Registry-Auth", base64.URLEncoding.EncodeToString([]byte(auth)))
	return send(t, httpClient(t, socket), req)
}

func messages(t *testing.T, body string) (all []jsonstream.Message) {
	t.Helper()
	for line := range strings.Lines(body) {
		var m jsonstream.Message
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, m)
	}
	if len(all) == 0 {
		t.Fatal("no messages")
	}
	return all
}

func TestPullReference(t *testing.T) {
	const sum = "sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1"
	for query, want := range map[string]string{
		"fromImage=alpine&tag=3":      "docker.io/library/alpine:3",
		"fromImage=alpine:3":          "docker.io/library/alpine:3",
		"fromImage=alpine&tag=" + sum: "docker.io/library/alpine@" + sum,
		"fromImage=alpine@" + sum:     "docker.io/library/alpine@" + sum,
		"fromImage=a.b:5/c:1&tag=2":   "a.b:5/c:2",
	} {
		if ref, err := pullReference(get(t, "/?"+query)); err != nil || ref.String() != want {
			t.Errorf("%s: got %v, %v", query, ref, err)
		}
	}
	for query, code := range map[string]int{"fromImage=alpine": 501, "fromImage=alpine:": 501, "fromSrc=-": 501, "fromImage=A": 400, "fromImage=a&tag=b:c": 400} {
		if ref, err := pullReference(get(t, "/?"+query)); err == nil || status(err) != code {
			t.Errorf("%s: got %v, %v", query, ref, err)
		}
	}
}

func TestTargetReference(t *testing.T) {
	for _, tt := range []struct{ repo, tag, want string }{
		{"app", "", "docker.io/library/app:latest"},
		{"app:1", "", "docker.io/library/app:1"},
		{"host:5/app", "2", "host:5/app:2"},
		{"app:1", "2", "docker.io/library/app:2"},
		{"app@sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1", "", ""},
		{"", "", ""},
		{"app", "a/b", ""},
	} {
		ref, err := targetReference(tt.repo, tt.tag)
		if tt.want == "" && (err == nil || status(err) != 400) || tt.want != "" && (err != nil || ref.String() != tt.want) {
			t.Errorf("%q, %q: got %v, %v", tt.repo, tt.tag, ref, err)
		}
	}
}
