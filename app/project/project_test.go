package project

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/skerry-app/skerry/app/api"
	"github.com/skerry-app/skerry/app/label"
	"github.com/skerry-app/skerry/app/project/skerryfile"
	"github.com/skerry-app/skerry/engine"
)

const shop = `
name = "shop"
[containers.web]
image = "web"
depends_on = ["api"]
ports = ["8080:80"]
[containers.api]
image = "api"
depends_on = ["db"]
[containers.db]
image = "db"
[containers.debug]
image = "db"
manual = true
`

// stage is a project file and an engine to bring it up on.
type stage struct {
	*testing.T
	engine  *memoryEngine
	manager *Manager
	file    string
}

func newStage(t *testing.T, text string) *stage {
	t.Helper()
	e := newMemoryEngine("web", "api", "db")
	s := &stage{T: t, engine: e, file: filepath.Join(t.TempDir(), skerryfile.Name)}
	s.manager = newManager(e, Options{Book: filepath.Join(t.TempDir(), "projects.json"), Version: "0.1", Log: slog.New(slog.DiscardHandler)})
	s.write(text)
	return s
}

func (s *stage) write(text string) {
	s.Helper()
	if err := os.WriteFile(s.file, []byte(text), 0o644); err != nil {
		s.Fatal(err)
	}
}

func (s *stage) edit(old, new string) {
	s.Helper()
	text, err := os.ReadFile(s.file)
	if err != nil || !strings.Contains(string(text), old) {
		s.Fatalf("no %q in the file, %v", old, err)
	}
	s.write(strings.ReplaceAll(string(text), old, new))
}

func (s *stage) up(names ...string) error {
	return s.manager.Up(s.Context(), api.ProjectRequest{File: s.file, Names: names}, func(api.ProjectProgress) {})
}

func (s *stage) down(names ...string) error {
	return s.manager.Down(s.Context(), api.ProjectRequest{File: s.file, Names: names}, func(api.ProjectProgress) {})
}

func (s *stage) mustUp(names ...string) {
	s.Helper()
	if err := s.up(names...); err != nil {
		s.Fatal(err)
	}
}

// did compares what was done, in order.
func (s *stage) did(want ...string) {
	s.Helper()
	if diff := cmp.Diff(want, s.engine.take()); diff != "" {
		s.Errorf("done (-want +got):\n%s", diff)
	}
}

func (s *stage) states(want string) {
	s.Helper()
	if got := s.engine.states(); got != want {
		s.Errorf("got  %s\nwant %s", got, want)
	}
}

// withoutPulls brings the images in beforehand, because pulls have no order.
func (s *stage) withoutPulls() *stage {
	for name, id := range s.engine.remote {
		s.engine.images[name] = id
	}
	return s
}

func TestUpDown(t *testing.T) {
	s := newStage(t, shop)
	s.mustUp()
	done := s.engine.take()
	slices.Sort(done[:3])
	want := []string{"pull api", "pull db", "pull web",
		"create shop-db", "create shop-api", "create shop-web", "start shop-db", "start shop-api", "start shop-web"}
	if diff := cmp.Diff(want, done); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.mustUp()
	s.did()

	if err := os.Remove(s.file); err != nil { // it comes down without
		t.Fatal(err)
	}
	if err := s.down(); err != nil {
		t.Fatal(err)
	}
	s.did("stop shop-web", "remove shop-web", "stop shop-api", "remove shop-api", "stop shop-db", "remove shop-db")
	s.states("")
	if err := s.down(); err != nil {
		t.Errorf("down of nothing: %v", err)
	}
}

func TestUpChanges(t *testing.T) {
	for _, test := range []struct {
		name   string
		before func(s *stage)
		names  []string
		want   []string
	}{
		{"a key changed", func(s *stage) { s.edit("8080:80", "8081:80") }, nil,
			[]string{"stop shop-web", "remove shop-web", "create shop-web", "start shop-web"}},
		{"the image changed", func(s *stage) { s.engine.images["db"] = digest.FromString("newer") }, nil,
			[]string{"stop shop-db", "remove shop-db", "create shop-db", "start shop-db"}},
		{"a newer image is fetched", func(s *stage) {
			s.edit(`image = "web"`, "image = \"web\"\npull_policy = \"always\"")
			s.engine.remote["web"] = digest.FromString("newer")
		}, nil,
			[]string{"pull web", "stop shop-web", "remove shop-web", "create shop-web", "start shop-web"}},
		{"the image is gone", func(s *stage) { delete(s.engine.images, "db"); delete(s.engine.remote, "db") }, nil, nil},
		{"only what is named", func(s *stage) { s.edit("8080:80", "8081:80") }, []string{"api"}, nil},
		{"manual", func(*stage) {}, []string{"debug"}, []string{"create shop-debug", "start shop-debug"}},
		{"stopped", func(s *stage) { s.stop("shop-api") }, nil, []string{"start shop-api"}},
		{"removed by hand", func(s *stage) { s.stop("shop-api"); s.remove("shop-api") }, nil, []string{"create shop-api", "start shop-api"}},
		{"not in the file any more", func(s *stage) {
			s.edit("[containers.web]\nimage = \"web\"\ndepends_on = [\"api\"]\nports = [\"8080:80\"]\n", "")
		}, nil, []string{"stop shop-web", "remove shop-web"}},
		{"not in the file, but others are named", func(s *stage) {
			s.edit("[containers.web]\nimage = \"web\"\ndepends_on = [\"api\"]\nports = [\"8080:80\"]\n", "")
		}, []string{"db"}, nil},
		{"the project is renamed", func(s *stage) {
			s.write("name = \"store\"\n[containers.web]\nimage = \"web\"\n")
			s.stop("shop-api")
			s.remove("shop-api")
			s.stop("shop-db")
			s.remove("shop-db")
		}, nil, []string{"stop shop-web", "remove shop-web", "create store-web", "start store-web"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStage(t, shop).withoutPulls()
			s.mustUp()
			test.before(s)
			s.engine.take()
			s.mustUp(test.names...)
			s.did(test.want...)
			s.mustUp(test.names...)
			if done := s.engine.take(); len(done) > 0 && !slices.Equal(done, []string{"pull web"}) {
				t.Errorf("a second up did %q", done)
			}
		})
	}
}

func (s *stage) find(name string) *memoryContainer {
	s.Helper()
	i := slices.IndexFunc(s.engine.containers, func(c *memoryContainer) bool { return c.snapshot.Name == name })
	if i < 0 {
		s.Fatalf("no container %s", name)
	}
	return s.engine.containers[i]
}

// TestPodGrows has a pod's containers stop, and not lose what they have written,
// when another comes.
func TestPodGrows(t *testing.T) {
	s := newStage(t, `
name = "shop"
[containers.a]
image = "db"
pod = "p"
[containers.b]
image = "db"
pod = "p"
depends_on = ["a"]
[containers.c]
image = "db"
depends_on = ["b"]
`).withoutPulls()
	s.mustUp()
	s.did("create shop-a", "create shop-b", "create shop-c", "start shop-a", "start shop-b", "start shop-c")
	s.edit("[containers.c]", "[containers.c]\npod = \"p\"")
	s.mustUp()
	done := s.engine.take()
	slices.Sort(done[2:4]) // they stop together
	want := []string{"stop shop-c", "remove shop-c", "stop shop-a", "stop shop-b", "create shop-c", "start shop-a", "start shop-b", "start shop-c"}
	if diff := cmp.Diff(want, done); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func (s *stage) stop(name string)   { _ = s.find(name).Stop(s.Context(), "", nil) }
func (s *stage) remove(name string) { _ = s.find(name).Remove(s.Context(), engine.RemoveOptions{}) }

func TestUpFailures(t *testing.T) {
	broken := errors.New("broken")
	t.Run("start", func(t *testing.T) {
		s := newStage(t, shop+"[containers.other]\nimage = \"db\"\n").withoutPulls()
		s.engine.fail["start shop-api"] = broken
		err := s.up()
		if err == nil || err.Error() != "container api: start: broken\nweb was left as it is because of api" {
			t.Errorf("got %v", err)
		}
		s.states("shop-api=created shop-db=running shop-other=running shop-web=created")
		delete(s.engine.fail, "start shop-api")
		s.mustUp()
		s.states("shop-api=running shop-db=running shop-other=running shop-web=running")
	})
	t.Run("pull", func(t *testing.T) {
		s := newStage(t, shop)
		s.mustUp()
		delete(s.engine.remote, "web2")
		s.edit(`image = "web"`, `image = "web2"`)
		err := s.up()
		if err == nil || !strings.Contains(err.Error(), "container web: pull web2: not in the registry") {
			t.Errorf("got %v", err)
		}
		s.states("shop-api=running shop-db=running shop-web=running") // nothing was taken down for it
	})
	t.Run("never pull", func(t *testing.T) {
		s := newStage(t, "name='n'\n[containers.web]\nimage='web'\npull_policy='never'\n")
		if err := s.up(); !errdefs.IsNotFound(err) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("file", func(t *testing.T) {
		s := newStage(t, "[containers.web]\nimage = 5\n")
		var problems skerryfile.Problems
		if err := s.up(); !errors.As(err, &problems) || !errdefs.IsInvalidArgument(err) {
			t.Errorf("got %v", err)
		}
		s.did()
	})
	t.Run("names", func(t *testing.T) {
		s := newStage(t, shop)
		if err := s.up("nope"); !errdefs.IsNotFound(err) {
			t.Errorf("up: %v", err)
		}
		if err := s.down("nope"); !errdefs.IsNotFound(err) {
			t.Errorf("down: %v", err)
		}
	})
	t.Run("project name taken", func(t *testing.T) {
		s := newStage(t, shop).withoutPulls()
		s.mustUp()
		other := *s
		other.file = filepath.Join(t.TempDir(), skerryfile.Name)
		other.write(shop)
		if err := other.up(); !errdefs.IsConflict(err) || !strings.Contains(err.Error(), s.file) {
			t.Errorf("got %v", err)
		}
	})
}

func TestDownSome(t *testing.T) {
	s := newStage(t, shop).withoutPulls()
	s.mustUp()
	if err := s.down("web"); err != nil {
		t.Fatal(err)
	}
	s.states("shop-api=running shop-db=running")
}

// TestParallel has several commands at once on one project; together they do
// what one does.
func TestParallel(t *testing.T) {
	s := newStage(t, shop).withoutPulls()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := s.up(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if s.engine.created != 3 {
		t.Errorf("%d containers were created", s.engine.created)
	}
	s.states("shop-api=running shop-db=running shop-web=running")

	unlock, err := s.manager.lock(t.Context(), s.file)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.manager.Up(ended, api.ProjectRequest{File: s.file}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a command that waits and is given up: %v", err)
	}
}

func TestProgressAndList(t *testing.T) {
	s := newStage(t, "name = 'one'\n[containers.web]\nimage = 'web'\nports = ['8080:80', '0.0.0.0:81:81']\nweb_port = 80\nlabels.team = 'blue'\n")
	var said []string
	err := s.manager.Up(t.Context(), api.ProjectRequest{File: s.file}, func(p api.ProjectProgress) {
		said = append(said, strings.TrimSpace(p.Container+" "+p.Status+" "+p.Detail))
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"web pulling web", "web pulling", "web pulled web", "web creating", "web starting",
		"web running localhost:8080 -> 80, 0.0.0.0:81 -> 81"}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	list, err := s.manager.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantList := []api.ProjectStatus{{Name: "one", File: s.file, Containers: []api.ProjectContainer{{Name: "web", ID: "1", Status: "running"}}}}
	if diff := cmp.Diff(wantList, list); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	labels := s.engine.containers[0].snapshot.Spec.Labels
	if labels["team"] != "blue" || labels[label.WebPort] != "80" || labels[label.Prints] == "" {
		t.Errorf("labels %v", labels)
	}
}

// TestFingerprints: equal specs have equal ones, and an empty command, which
// clears the image's, is not the same as none.
func TestFingerprints(t *testing.T) {
	prints := func(s engine.Spec) map[string]string {
		p, err := fingerprints(s)
		if err != nil {
			t.Fatal(err)
		}
		return parsePrints(formatPrints(p))
	}
	made := engine.Spec{Image: "x", Env: []string{"A=1"}, Restart: engine.RestartPolicy{Name: "always"}}
	for _, test := range []struct {
		now  engine.Spec
		want []string
	}{
		{engine.Spec{Image: "x", Env: []string{"A=1"}, Labels: map[string]string{}, Ports: []engine.Port{}}, nil},
		{engine.Spec{Image: "y", Env: []string{"A=1"}}, []string{"image"}},
		{engine.Spec{Image: "x", Env: []string{"A=1"}, Command: []string{}}, []string{"command"}},
		{engine.Spec{Image: "x", TTY: true, StopSignal: "INT"}, []string{"environment", "stop_signal", "tty"}},
	} {
		if diff := cmp.Diff(test.want, differences(prints(made), prints(test.now))); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test.now, diff)
		}
	}
}

// TestBounds keeps the reader's idea of the least machine and the engine's in
// step; the reader knows no engine.
func TestBounds(t *testing.T) {
	if skerryfile.MinMemory != engine.MinMemory {
		t.Errorf("a file may ask for %d bytes, the engine wants %d", skerryfile.MinMemory, engine.MinMemory)
	}
}
