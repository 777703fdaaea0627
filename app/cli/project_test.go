package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

// inProject changes into a directory below that of a project file.
func inProject(t *testing.T, text string) (file string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "skerry.toml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "src"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(dir, "src"))
	return file
}

const goodProject = "name = 'shop'\n[containers.web]\nimage = '${REGISTRY}/web:${TAG:-1}'\n"

func TestUp(t *testing.T) {
	a := newApp(t)
	file := inProject(t, goodProject)
	t.Setenv("REGISTRY", "localhost:5000")
	t.Setenv("SECRET", "stays here")
	a.on("POST /skerry/projects/up", 200, `{"container":"web","status":"pulling","detail":"x"}
{"container":"web","status":"pulling","current":1,"total":2}
{"container":"web","status":"pulling","current":2,"total":2}
{"container":"web","status":"running","detail":"localhost:8080 -> 80"}
{"done":true}
`)
	skerry(t, "", "up", "-d", "web").want(t, 0, "", "web: pulling (x)\nweb: pulling\nweb: running (localhost:8080 -> 80)\n")
	var got projectRequest
	if err := json.Unmarshal([]byte(a.body("POST /skerry/projects/up")), &got); err != nil {
		t.Fatal(err)
	}
	want := projectRequest{File: file, Env: map[string]string{"REGISTRY": "localhost:5000"}, Names: []string{"web"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUpFails(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		answer string
		want   string
	}{
		"in the stream": {200, `{"container":"web","status":"starting"}` + "\n" + `{"error":"container web: start: no machine"}`, "web: starting\nskerry: container web: start: no machine\n"},
		"at once":       {409, `{"message":"project name \"shop\" is taken"}`, "skerry: project name \"shop\" is taken\n"},
		"cut off":       {200, `{"container":"web","status":"starting"}` + "\n", "web: starting\nskerry: the app ended before it was done…"},
		"no JSON":       {502, `gateway`, "skerry: the app answered 502 Bad Gateway: gateway\n"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			inProject(t, goodProject)
			t.Setenv("REGISTRY", "x")
			a.on("POST /skerry/projects/up", test.status, test.answer)
			skerry(t, "", "up").want(t, exitFailure, "", test.want)
		})
	}
}

// TestDown needs no file that can be read, let alone one without mistakes.
func TestDown(t *testing.T) {
	a := newApp(t)
	file := inProject(t, "not toml")
	a.on("POST /skerry/projects/down", 200, `{"container":"web","status":"removed"}`+"\n"+`{"done":true}`)
	skerry(t, "", "down").want(t, 0, "", "web: removed\n")
	if got, want := a.body("POST /skerry/projects/down"), `{"file":"`+file+`"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCheck(t *testing.T) {
	newHome(t) // there is no app, and none is started
	inProject(t, "[containers.web]\nimge = 'x'\n")
	want := "../skerry.toml:1:13: container \"web\" has no image; add a line such as image = \"postgres:17\"\n" +
		"../skerry.toml:2:1: unknown key \"imge\" in [containers.web]; did you mean \"image\"?\n2 problems; nothing was started\n"
	skerry(t, "", "check").want(t, exitFailure, "", want)
	skerry(t, "", "up").want(t, exitFailure, "", want)

	file := inProject(t, goodProject)
	t.Setenv("REGISTRY", "x")
	skerry(t, "", "check").want(t, 0, "", "../skerry.toml: project \"shop\" with 1 container is fine\n")
	t.Chdir("/")
	skerry(t, "", "check", "-f", file).want(t, 0, "", file[1:]+": project \"shop\" with 1 container is fine\n")
	skerry(t, "", "check").want(t, exitFailure, "", "skerry: no skerry.toml in …")
	skerry(t, "", "check", "x").want(t, exitUsage, "", "skerry: …")
}
