package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/skerry-app/skerry/engine"
)

func get(t *testing.T, target string) *http.Request {
	t.Helper()
	return httptest.NewRequest(http.MethodGet, target, nil)
}

func TestStatus(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{errdefs.ErrNotFound, 404},
		{fmt.Errorf("deep: %w", errdefs.ErrConflict.WithMessage("x")), 409},
		{errdefs.ErrAlreadyExists, 409},
		{errdefs.ErrInvalidArgument, 400},
		{errdefs.ErrNotModified, 304},
		{errdefs.ErrNotImplemented, 501},
		{errdefs.ErrUnavailable, 503},
		{errdefs.ErrUnauthenticated, 401},
		{errdefs.ErrPermissionDenied, 403},
		{errors.New("plain"), 500},
		{context.DeadlineExceeded, 500},
		{startFailure(&engine.StartError{Code: 127, Err: errors.New("x")}), 400},
		{startFailure(&engine.StartError{Code: 125, Err: errors.New("x")}), 500},
		{startFailure(errdefs.ErrConflict), 409},
		{startFailure(errdefs.ErrNotModified), 304},
	} {
		if got := status(tt.err); got != tt.want {
			t.Errorf("%v: got %d, want %d", tt.err, got, tt.want)
		}
	}
}

// dockerExit is how the docker command chooses its exit status
// (docker/cli v29, cli/command/container/run.go, toStatusError).
func dockerExit(message string) int {
	switch {
	case strings.Contains(message, "executable file not found"), strings.Contains(message, "no such file or directory"):
		return 127
	case strings.Contains(message, "permission denied"), strings.Contains(message, "is a directory"):
		return 126
	}
	return 125
}

func TestStartFailureGivesDockerItsExitStatus(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{&engine.StartError{Code: 127, Err: errors.New(`"foo": executable file not found in $PATH`)}, 127},
		{&engine.StartError{Code: 127, Err: errors.New("no foo")}, 127},
		{&engine.StartError{Code: 126, Err: errors.New("/etc: is a directory")}, 126},
		{&engine.StartError{Code: 126, Err: errors.New("exec format error")}, 126},
		{&engine.StartError{Code: 126, Err: errors.New("fork/exec /no such file or directory: permission denied")}, 126},
		{&engine.StartError{Code: 125, Err: errors.New("open /kernel: no such file or directory")}, 125},
		{fmt.Errorf("start: %w", errors.New("open /dev/kvm: permission denied")), 125},
	} {
		if got := dockerExit(startFailure(tt.err).Error()); got != tt.want {
			t.Errorf("%v: docker would exit with %d, want %d", tt.err, got, tt.want)
		}
	}
	if startFailure(nil) != nil {
		t.Error("no error has become one")
	}
}

func TestNegotiate(t *testing.T) {
	if client.MaxAPIVersion != maxVersion {
		t.Errorf("maxVersion %s, the client's is %s", maxVersion, client.MaxAPIVersion)
	}
	for _, tt := range []struct{ path, want, message string }{
		{"/info", "/info", ""},
		{"/v1.44/containers/a%2Fb/json", "/containers/a/b/json", ""},
		{"/v1.56/info", "/info", ""},
		{"/v1.43/info", "", "client version 1.43 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version"},
		{"/v1.57/info", "", "client version 1.57 is too new. Maximum supported API version is 1.56"},
		{"/v2.0/info", "", "client version 2.0 is too new. Maximum supported API version is 1.56"},
		{"/v1.4/info", "", "client version 1.4 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version"},
		{"/v1/info", "/v1/info", ""},
	} {
		r, err := negotiate(get(t, tt.path))
		switch {
		case tt.message != "":
			if err == nil || err.Error() != tt.message || status(err) != 400 {
				t.Errorf("%s: got %v", tt.path, err)
			}
		case err != nil || r.URL.Path != tt.want:
			t.Errorf("%s: got %q, %v", tt.path, r.URL.Path, err)
		}
	}
}

func TestFrames(t *testing.T) {
	var b bytes.Buffer
	var mu sync.Mutex
	out, errOut := frames{&b, &mu, stdcopyStdout}, frames{&b, &mu, stdcopyStderr}
	big := strings.Repeat("x", 100_000)
	for _, w := range []struct {
		to   io.Writer
		text string
	}{{out, "a"}, {errOut, "b"}, {out, ""}, {errOut, big}, {out, "c"}} {
		if n, err := io.WriteString(w.to, w.text); n != len(w.text) || err != nil {
			t.Fatalf("wrote %d of %d: %v", n, len(w.text), err)
		}
	}
	var gotOut, gotErr bytes.Buffer
	if _, err := stdcopy.StdCopy(&gotOut, &gotErr, &b); err != nil {
		t.Fatal(err)
	}
	if gotOut.String() != "ac" || gotErr.String() != "b"+big {
		t.Errorf("got %q and %d bytes", gotOut.String(), gotErr.Len())
	}
}

func TestParseDetachKeys(t *testing.T) {
	for text, want := range map[string]string{
		"": "\x10\x11", "ctrl-p,ctrl-q": "\x10\x11", "a": "a", "ctrl-@": "\x00", "ctrl-[,x": "\x1bx", `ctrl-\`: "\x1c", "ctrl-_": "\x1f",
	} {
		if got, err := parseDetachKeys(text); err != nil || string(got) != want {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"ctrl-", "ctrl-A", "ab", ",", "ctrl-1", "é"} {
		if _, err := parseDetachKeys(text); err == nil || status(err) != 400 {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestDetachReader(t *testing.T) {
	for _, tt := range []struct {
		keys, in, want string
		detached       bool
	}{
		{"pq", "hello", "hello", false},
		{"pq", "hepqllo", "he", true},
		{"pq", "pp", "pp", false},
		{"pq", "ppq", "p", true},
		{"aab", "aaab", "a", true},
		{"aab", "aacaab", "aac", true},
		{"pq", "p", "p", false}, // what was held back is not lost
		{"p", "p", "", true},
	} {
		for name, r := range map[string]io.Reader{"whole": strings.NewReader(tt.in), "bytes": iotest.OneByteReader(strings.NewReader(tt.in))} {
			got, err := io.ReadAll(&detachReader{r: r, keys: []byte(tt.keys)})
			if string(got) != tt.want || errors.Is(err, errDetached) != tt.detached {
				t.Errorf("%q in %q, %s: got %q, %v", tt.keys, tt.in, name, got, err)
			}
		}
	}
}

func TestQuery(t *testing.T) {
	r := get(t, "/?a=1&b=0&c=False&d=yes&n=12&bad=x&h=24&w=80&huge=70000&t=-1&never=9999999999999")
	for key, want := range map[string]bool{"a": true, "b": false, "c": false, "d": true, "absent": false} {
		if boolean(r, key) != want {
			t.Errorf("%s is not %v", key, want)
		}
	}
	if rows, columns, err := terminalSize(r); rows != 24 || columns != 80 || err != nil {
		t.Errorf("got %d x %d, %v", rows, columns, err)
	}
	if _, _, err := terminalSize(get(t, "/?h=70000&w=1")); err == nil {
		t.Error("a terminal of 70000 lines")
	}
	if _, _, err := integer(r, "bad"); err == nil || status(err) != 400 {
		t.Errorf("got %v", err)
	}
	if d, err := seconds(r, "t"); err != nil || *d != -time.Second {
		t.Errorf("got %v, %v", d, err)
	}
	if d, err := seconds(r, "never"); err != nil || *d <= 0 {
		t.Errorf("overflow: got %v, %v", d, err)
	}
	if d, err := seconds(r, "absent"); d != nil || err != nil {
		t.Errorf("got %v, %v", d, err)
	}
}

func TestMoment(t *testing.T) {
	for text, want := range map[string]time.Time{
		"": {}, "0": {}, "1136073600": time.Unix(1136073600, 0), "1136073600.5": time.Unix(1136073600, 500_000_000),
		"1136073600.000000001": time.Unix(1136073600, 1), "2026-01-02T03:04:05Z": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	} {
		if got, err := moment(get(t, "/?since="+text), "since"); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"x", "5m", "1.x", "1.-5"} {
		if _, err := moment(get(t, "/?since="+text), "since"); err == nil || status(err) != 400 {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestParseFilters(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"name":{"a":true,"b":false}}`: true, `{"name":["a"]}`: true, `{"nonsense":{"a":true}}`: false, `[]`: false, `{"name":5}`: false,
	} {
		f, err := parseFilters(get(t, "/?filters="+url.QueryEscape(text)), "name")
		if ok && (err != nil || !slices.Equal(f["name"], []string{"a"})) {
			t.Errorf("%s: got %v, %v", text, f, err)
		}
		if !ok && (err == nil || status(err) != 400) {
			t.Errorf("%s: got %v, %v", text, f, err)
		}
	}
}

func TestSelection(t *testing.T) {
	second, third := created(), running()
	second.ID, second.Name, second.Spec.Labels = "bb"+second.ID[2:], "job", map[string]string{"tier": "back", "x": ""}
	second.State = engine.State{Status: engine.StatusExited, ExitCode: 2, FinishedAt: now}
	third.ID, third.Name, third.State.Status, third.Spec.Network = "cc"+third.ID[2:], "webby", engine.StatusPaused, "shop"
	all := []engine.Snapshot{running(), second, third} // newest first
	for _, tt := range []struct {
		filters string
		sel     selection
		want    string
	}{
		{``, selection{}, "web webby"},
		{``, selection{all: true}, "web job webby"},
		{``, selection{all: true, limit: 2}, "web job"},
		{`{"name":["^/web$"]}`, selection{}, "web"},
		{`{"name":["web"]}`, selection{}, "web webby"},
		{`{"name":["["]}`, selection{}, ""},
		{`{"id":["bb"]}`, selection{all: true}, "web job webby"}, // an expression, found anywhere
		{`{"id":["^bb"]}`, selection{all: true}, "job"},
		{`{"label":["tier=back"]}`, selection{all: true}, "job"},
		{`{"label":["tier","x"]}`, selection{all: true}, "job"},
		{`{"status":["paused","exited"]}`, selection{all: true}, "job webby"},
		{`{"exited":["2"]}`, selection{all: true}, "job"},
		{`{"exited":["0"]}`, selection{all: true}, ""},
		{`{"network":["bridge"]}`, selection{}, "web"},
		{`{"network":["shop"]}`, selection{}, "webby"},
		{`{"health":["healthy"]}`, selection{}, ""},
		{`{"volume":["data"]}`, selection{all: true}, ""},
		{`{"publish":["80-90"]}`, selection{all: true}, "web webby"},
		{`{"publish":["80/udp"]}`, selection{all: true}, ""},
		{`{"expose":["80"]}`, selection{all: true}, "web job webby"},
		{`{"ancestor":["nginx"]}`, selection{all: true}, ""},
		{``, selection{all: true, before: second.ID}, "webby"},
		{``, selection{all: true, since: second.ID}, "web"},
	} {
		f, err := parseFilters(get(t, "/?filters="+url.QueryEscape(tt.filters)), containerFilters...)
		if err != nil {
			t.Fatal(err)
		}
		tt.sel.filters = f
		if len(f["ancestor"]) == 0 { // needs an engine
			if err := new(Server).resolve(&tt.sel); err != nil {
				t.Fatal(err)
			}
		}
		var names []string
		for _, s := range tt.sel.choose(all) {
			names = append(names, s.Name)
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%s %+v: got %q, want %q", tt.filters, tt.sel, got, tt.want)
		}
	}
}

func TestMatchEvent(t *testing.T) {
	start := toMessage(engine.Event{Time: now, Type: "container", Action: "start", ID: "abcdef", Name: "web",
		Attributes: map[string]string{"image": "nginx:1", "tier": "front"}})
	if start.Status != "start" || start.ID != "abcdef" || start.From != "nginx:1" || start.Actor.Attributes["name"] != "web" || start.TimeNano != now.UnixNano() {
		t.Errorf("got %+v", start)
	}
	pull := toMessage(engine.Event{Type: "image", Action: "pull", ID: "nginx:1", Name: "nginx:1"})
	for _, tt := range []struct {
		filters string
		m       events.Message
		want    bool
	}{
		{``, start.Message, true},
		{`{"container":["web"]}`, start.Message, true},
		{`{"container":["abc"]}`, start.Message, true},
		{`{"container":["x"]}`, start.Message, false},
		{`{"container":["web"]}`, pull.Message, false},
		{`{"event":["die","start"]}`, start.Message, true},
		{`{"event":["die"]}`, start.Message, false},
		{`{"type":["image"]}`, start.Message, false},
		{`{"type":["image"]}`, pull.Message, true},
		{`{"label":["tier=front"]}`, start.Message, true},
		{`{"image":["nginx"]}`, start.Message, true},
		{`{"image":["nginx:1"]}`, pull.Message, true},
		{`{"image":["redis"]}`, pull.Message, false},
		{`{"daemon":["x"]}`, start.Message, false},
	} {
		f, err := parseFilters(get(t, "/?filters="+url.QueryEscape(tt.filters)), eventFilters...)
		if err != nil {
			t.Fatal(err)
		}
		if got := matchEvent(f, tt.m); got != tt.want {
			t.Errorf("%s on %s %s: got %v", tt.filters, tt.m.Type, tt.m.Action, got)
		}
	}
}

func TestEventLogForgets(t *testing.T) {
	l := newEventLog()
	_, wait, _ := l.get(0)
	for i := range eventsKept + 10 {
		l.add(engine.Event{ID: fmt.Sprint(i)})
	}
	<-wait // who waited is told
	if _, _, lost := l.get(9); !lost {
		t.Error("an event is kept that should be forgotten")
	}
	for n, want := range map[uint64]string{l.oldest(): "10", l.end() - 1: fmt.Sprint(eventsKept + 9)} {
		if ev, wait, lost := l.get(n); ev.ID != want || wait != nil || lost {
			t.Errorf("%d: got %q, want %q", n, ev.ID, want)
		}
	}
	if _, wait, lost := l.get(l.end()); wait == nil || lost {
		t.Error("the next event is there already")
	}
}
