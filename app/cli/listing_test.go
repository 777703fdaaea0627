package cli

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
)

// ago is a time whose age no table shows differently from one second to the next.
func ago(d time.Duration) int64 { return time.Now().Add(-d - time.Second/2).Unix() }

func containersAnswer() string {
	return fmt.Sprintf(`[
{"Id":"0123456789abcdef0123","Names":["/web"],"Image":"nginx","Command":"nginx -g 'daemon off;' --long","Created":%d,"State":"running","Status":"Up 2 hours",
 "Ports":[{"IP":"::1","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"IP":"127.0.0.1","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"PrivatePort":443,"Type":"tcp"}],
 "Labels":{"b":"2","a":"1"},"NetworkSettings":{"Networks":{"shop":{}}}},
{"Id":"fedcba98765432100000","Names":["/db"],"Image":"postgres:17","Command":"postgres","Created":%d,"State":"exited","Status":"Exited (0) 3 days ago","Ports":[]}]`,
		ago(2*time.Hour), ago(3*24*time.Hour))
}

func TestPs(t *testing.T) {
	for _, test := range []struct{ args, asked, want string }{
		{"ps", "GET /containers/json", `CONTAINER ID   IMAGE         COMMAND                  CREATED       STATUS                  PORTS                                                 NAMES
0123456789ab   nginx         "nginx -g 'daemon of…"   2 hours ago   Up 2 hours              127.0.0.1:8080->80/tcp, [::1]:8080->80/tcp, 443/tcp   web
fedcba987654   postgres:17   "postgres"               3 days ago    Exited (0) 3 days ago                                                         db
`},
		{"ls -aq", "GET /containers/json?all=1", "0123456789ab\nfedcba987654\n"},
		{"ps -q --no-trunc -n 2", "GET /containers/json?all=1&limit=2", "0123456789abcdef0123\nfedcba98765432100000\n"},
		{"ps -l -f status=exited -f name=db --format {{.Names}}", `GET /containers/json?all=1&filters=%7B%22name%22%3A%7B%22db%22%3Atrue%7D%2C%22status%22%3A%7B%22exited%22%3Atrue%7D%7D&limit=1`, "web\ndb\n"},
		{"ps --format table_{{.Names}}\\t{{.State}}\\t{{.Networks}}", "GET /containers/json", "NAMES     STATE     NETWORKS\nweb       running   shop\ndb        exited    \n"},
		{"ps --format {{.Names|upper}}={{.Labels}}", "GET /containers/json", "WEB=a=1,b=2\nDB=\n"},
	} {
		a := newApp(t)
		a.on("GET /containers/json", 200, containersAnswer())
		args := strings.Fields(test.args)
		for i := range args {
			args[i] = strings.Replace(args[i], "table_", "table ", 1)
		}
		got := skerry(t, "", args...)
		if diff := cmp.Diff(test.want, got.out); diff != "" || got.status != 0 || got.err != "" {
			t.Errorf("%s: %d %s (-want +got):\n%s", test.args, got.status, got.err, diff)
		}
		if asked := a.asked(); len(asked) != 1 || asked[0] != test.asked {
			t.Errorf("%s: asked %q", test.args, asked)
		}
	}
}

func TestPsJSON(t *testing.T) {
	a := newApp(t)
	a.on("GET /containers/json", 200, containersAnswer())
	got := skerry(t, "", "ps", "--format", "json")
	lines := strings.Split(strings.TrimSpace(got.out), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"Command":"\"nginx -g 'daemon of…\""`) || !strings.Contains(lines[0], `"Ports":"127.0.0.1:8080->80/tcp`) {
		t.Errorf("got %s", got.out)
	}
	if got := skerry(t, "", "ps", "--format", "{{.Nope}}"); got.status != exitUsage {
		t.Errorf("a column that is not there: %+v", got)
	}
}

func TestPortList(t *testing.T) {
	any := netip.MustParseAddr("0.0.0.0")
	for _, test := range []struct {
		ports []container.PortSummary
		want  string
	}{
		{nil, ""},
		{[]container.PortSummary{{PrivatePort: 80, PublicPort: 81, Type: "tcp"}}, "81->80/tcp"},
		{[]container.PortSummary{{PrivatePort: 90, Type: "udp"}, {IP: any, PrivatePort: 80, PublicPort: 81, Type: "tcp"}}, "0.0.0.0:81->80/tcp, 90/udp"},
	} {
		if got := portList(test.ports); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestImages(t *testing.T) {
	digest := "sha256:" + strings.Repeat("d", 64)
	answer := fmt.Sprintf(`[
{"Id":"sha256:%s","RepoTags":["docker.io/library/alpine:latest","localhost:5000/x/alpine:3.20"],"RepoDigests":["alpine@%s"],"Created":%d,"Size":8123456},
{"Id":"sha256:%s","RepoTags":[],"RepoDigests":[],"Created":%d,"Size":12},
{"Id":"sha256:%s","RepoTags":null,"RepoDigests":["ex.test/a/b@%s"],"Created":%d,"Size":1500000000}]`,
		strings.Repeat("a", 64), digest, ago(2*24*time.Hour), strings.Repeat("b", 64), ago(time.Hour), strings.Repeat("c", 64), digest, ago(3*time.Hour))
	for _, test := range []struct{ args, want string }{
		{"images", `REPOSITORY                TAG       IMAGE ID       CREATED             SIZE
<none>                    <none>    bbbbbbbbbbbb   About an hour ago   12B
ex.test/a/b               <none>    cccccccccccc   3 hours ago         1.5GB
alpine                    latest    aaaaaaaaaaaa   2 days ago          8.12MB
localhost:5000/x/alpine   3.20      aaaaaaaaaaaa   2 days ago          8.12MB
`},
		{"images -q", "bbbbbbbbbbbb\ncccccccccccc\naaaaaaaaaaaa\n"},
		{"images --digests --format {{.Repository}}@{{.Digest}}", "<none>@<none>\nex.test/a/b@" + digest + "\nalpine@" + digest + "\nlocalhost:5000/x/alpine@<none>\n"},
	} {
		a := newApp(t)
		a.on("GET /images/json", 200, answer)
		got := skerry(t, "", strings.Fields(test.args)...)
		if diff := cmp.Diff(test.want, got.out); diff != "" || got.status != 0 {
			t.Errorf("%s: %d %s (-want +got):\n%s", test.args, got.status, got.err, diff)
		}
	}
}

func TestRmiAndTag(t *testing.T) {
	a := newApp(t)
	a.on("DELETE /images/x", 200, `[{"Untagged":"x:latest"},{"Deleted":"sha256:1"}]`)
	a.on("DELETE /images/y", 409, `{"message":"in use"}`)
	a.on("POST /images/x/tag", 201, "")
	skerry(t, "", "rmi", "y", "x").want(t, exitFailure, "Untagged: x:latest\nDeleted: sha256:1\n", "skerry: in use\n")
	skerry(t, "", "tag", "x", "z:1").want(t, 0, "", "")
}

// TestEach: every container named is looked at, whatever happens to the others.
func TestEach(t *testing.T) {
	a := newApp(t)
	for _, pattern := range []string{"POST /containers/a/stop", "POST /containers/a/restart", "POST /containers/a/kill",
		"POST /containers/a/pause", "POST /containers/a/unpause", "DELETE /containers/a", "POST /containers/a/start", "POST /containers/a/rename"} {
		a.on(pattern, 204, "")
	}
	a.on("POST /containers/a/wait", 200, `{"StatusCode":7}`)
	for _, test := range []struct{ args, asked string }{
		{"stop a gone a", "POST /containers/a/stop"},
		{"stop -t 0 a gone a", "POST /containers/a/stop?t=0"},
		{"restart -s INT a gone a", "POST /containers/a/restart?signal=INT"},
		{"kill -s 9 a gone a", "POST /containers/a/kill?signal=9"},
		{"pause a gone a", "POST /containers/a/pause"},
		{"unpause a gone a", "POST /containers/a/unpause"},
		{"start a gone a", "POST /containers/a/start"},
		{"rm -v a gone a", "DELETE /containers/a?v=1"},
	} {
		before := len(a.asked())
		skerry(t, "", strings.Fields(test.args)...).want(t, exitFailure, "a\na\n", "skerry: 404 page not found\n")
		if asked := a.asked()[before:]; len(asked) != 3 || asked[0] != test.asked || asked[2] != test.asked {
			t.Errorf("%s: asked %q", test.args, asked)
		}
	}
	skerry(t, "", "rm", "-f", "gone").want(t, 0, "gone\n", "")
	skerry(t, "", "rename", "a", "b").want(t, 0, "", "")
	skerry(t, "", "wait", "a", "a").want(t, 0, "7\n7\n", "")
}

func TestLogs(t *testing.T) {
	a := newApp(t)
	a.on("GET /containers/web/json", 200, `{"Id":"c1","Config":{"Tty":false}}`)
	a.on("GET /containers/term/json", 200, `{"Id":"c2","Config":{"Tty":true}}`)
	a.mux.HandleFunc("GET /containers/c1/logs", func(w http.ResponseWriter, _ *http.Request) {
		frame(w, 1, "out\n")
		frame(w, 2, "err\n")
	})
	a.on("GET /containers/c2/logs", 200, "raw\r\n")
	skerry(t, "", "logs", "-f", "-t", "-n", "5", "web").want(t, 0, "out\n", "err\n")
	skerry(t, "", "logs", "term").want(t, 0, "raw\r\n", "")
	if want := "GET /containers/c1/logs?follow=1&stderr=1&stdout=1&tail=5&timestamps=1"; a.asked()[1] != want {
		t.Errorf("asked %q", a.asked())
	}
}

func TestTop(t *testing.T) {
	a := newApp(t)
	a.on("GET /containers/web/top", 200, `{"Titles":["PID","CMD"],"Processes":[["1","nginx"],["20","sh"]]}`)
	skerry(t, "", "top", "web", "-o", "pid").want(t, 0, "PID                 CMD\n1                   nginx\n20                  sh\n", "")
	if want := "GET /containers/web/top?ps_args=-o+pid"; a.asked()[0] != want {
		t.Errorf("asked %q", a.asked())
	}
}

func TestInspect(t *testing.T) {
	a := newApp(t)
	a.on("GET /containers/web/json", 200, `{"Id":"c1","State":{"Status":"running"},"Skerry":{"Phases":[{"Name":"boot"}]}}`)
	a.on("GET /images/alpine/json", 200, `{"Id":"sha256:1","Architecture":"arm64"}`)
	skerry(t, "", "inspect", "-f", "{{.State.Status}}", "web").want(t, 0, "running\n", "")
	skerry(t, "", "inspect", "-f", "{{(index .Skerry.Phases 0).Name}}", "web").want(t, 0, "boot\n", "")
	skerry(t, "", "inspect", "-f", "{{.Architecture}}", "alpine").want(t, 0, "arm64\n", "")
	skerry(t, "", "inspect", "--format", "json", "web", "alpine").want(t, 0,
		`[{"Id":"c1","State":{"Status":"running"},"Skerry":{"Phases":[{"Name":"boot"}]}},{"Id":"sha256:1","Architecture":"arm64"}]`+"\n", "")
	got := skerry(t, "", "inspect", "gone", "alpine")
	if got.status != exitFailure || got.err != "skerry: no such container or image: gone\n" || !strings.HasPrefix(got.out, "[\n    {\n        \"Id\": \"sha256:1\",") {
		t.Errorf("%+v", got)
	}
	skerry(t, "", "inspect", "--type", "container", "gone").want(t, exitFailure, "[]\n", "skerry: 404 page not found\n")
	if got := skerry(t, "", "inspect", "-f", "{{.Nope}}", "web"); got.status != exitUsage {
		t.Errorf("%+v", got)
	}
}

func TestEvents(t *testing.T) {
	a := newApp(t)
	a.on("GET /events", 200, `{"Type":"container","Action":"die","Actor":{"ID":"c1","Attributes":{"name":"web","exitCode":"1","x":"\u001b[2J"}},"timeNano":1700000000000000000}
`)
	when := time.Unix(1700000000, 0).Format("2006-01-02T15:04:05.000000000Z07:00")
	skerry(t, "", "events").want(t, 0, when+" container die c1 (exitCode=1, name=web, x=?[2J)\n", "")
	skerry(t, "", "events", "--format", "{{.Type}} {{.Actor.ID}}").want(t, 0, "container c1\n", "")
	if got := skerry(t, "", "events", "--format", "json"); !strings.Contains(got.out, `"Action":"die"`) {
		t.Errorf("%+v", got)
	}
}

// TestServerGone: an app that ends in the middle is no success.
func TestServerGone(t *testing.T) {
	a := newApp(t)
	a.on("POST /containers/create", 201, `{"Id":"c1"}`)
	a.on("POST /containers/c1/start", 204, "")
	a.onAttach("POST /containers/c1/attach", false, func(conn *net.UnixConn, _ io.Reader) {})
	a.mux.HandleFunc("POST /containers/c1/wait", func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	skerry(t, "", "run", "x").want(t, exitSkerry, "", "skerry: wait for the container's exit status: …")
	if _, err := os.Stat(a.home.AppLog()); err == nil {
		t.Error("another app was started")
	}
}
