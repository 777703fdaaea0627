package project

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skerry-app/skerry/app/api"
	"github.com/skerry-app/skerry/app/project/skerryfile"
	"github.com/skerry-app/skerry/engine"
)

const chain = `
name = "shop"
[containers.web]
image = "web"
depends_on = { db = "healthy", job = "completed" }
[containers.db]
image = "db"
healthcheck = { tcp = 5432 }
[containers.job]
image = "db"
`

// begun waits until a container has been started.
func (s *stage) begun(name string) *memoryContainer {
	s.Helper()
	for {
		s.engine.mu.Lock()
		for _, c := range s.engine.containers {
			if c.snapshot.Name == name && c.snapshot.State.Status == engine.StatusRunning {
				s.engine.mu.Unlock()
				return c
			}
		}
		s.engine.mu.Unlock()
		if s.Context().Err() != nil {
			s.Fatalf("%s was not started", name)
		}
	}
}

func healthy(s *engine.State)   { s.Health = &engine.Health{Status: engine.HealthHealthy} }
func unhealthy(s *engine.State) { s.Health = &engine.Health{Status: engine.HealthUnhealthy} }
func exited(code int) func(*engine.State) {
	return func(s *engine.State) { s.Status, s.ExitCode, s.Wanted = engine.StatusExited, code, false }
}

func TestConditions(t *testing.T) {
	for _, test := range []struct {
		name    string
		db, job func(*engine.State)
		states  string
		err     string
	}{
		{"as it should be", healthy, exited(0), "shop-db=running shop-job=exited shop-web=running", ""},
		{"unhealthy", unhealthy, exited(0), "shop-db=running shop-job=exited shop-web=created", "web was left as it is: db is unhealthy: no check has answered"},
		{"the database ends", exited(1), exited(0), "shop-db=exited shop-job=exited shop-web=created", "web was left as it is: db ended with exit status 1 before it was healthy"},
		{"the job fails", healthy, exited(3), "shop-db=running shop-job=exited shop-web=created", "web was left as it is: job did not complete: it ended with exit status 3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStage(t, chain).withoutPulls()
			done := make(chan error)
			go func() { done <- s.up() }()
			db, job := s.begun("shop-db"), s.begun("shop-job")
			s.states("shop-db=running shop-job=running shop-web=created")
			db.set(test.db)
			job.set(test.job)
			err := <-done
			if got := errorText(err); got != test.err {
				t.Errorf("got %q", got)
			}
			s.states(test.states)
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestResume: an app that comes back brings up what was up, in order, and leaves
// down what was stopped.
func TestResume(t *testing.T) {
	s := newStage(t, shop).withoutPulls()
	s.mustUp()
	s.stop("shop-api")
	crash := func() *Manager {
		s.Helper()
		for _, c := range s.engine.containers {
			c.snapshot.State.Status = engine.StatusExited
		}
		s.engine.take()
		return newManager(s.engine, s.manager.options)
	}
	crash().resume(t.Context())
	s.states("shop-api=exited shop-db=running shop-web=running")

	m := crash()
	if err := m.Stop(t.Context(), s.file); err != nil {
		t.Fatal(err)
	}
	for _, c := range s.engine.containers {
		c.snapshot.State.Wanted = false
	}
	crash().resume(t.Context())
	s.did()
}

// TestStartAtLogin: a project that is to start at login comes up as a whole
// unless it was stopped by hand.
func TestStartAtLogin(t *testing.T) {
	s := newStage(t, "start_at_login = true\n"+shop).withoutPulls()
	m := s.manager
	if err := m.Open(s.file); err != nil {
		t.Fatal(err)
	}
	m.resume(t.Context())
	s.did("create shop-db", "create shop-api", "create shop-web", "start shop-db", "start shop-api", "start shop-web")
	if err := s.down(); err != nil {
		t.Fatal(err)
	}
	s.engine.take()
	newManager(s.engine, m.options).resume(t.Context())
	s.did()
	if err := m.Start(t.Context(), s.file); err != nil {
		t.Fatal(err)
	}
	s.states("shop-api=running shop-db=running shop-web=running")
	if err := s.down(); err != nil {
		t.Fatal(err)
	}
	if err := m.book.change(s.file, func(e *entry) { e.Stopped = false }); err != nil {
		t.Fatal(err)
	}
	if err := m.SetStartAtLogin(s.file, false); err != nil {
		t.Fatal(err)
	}
	s.engine.take()
	newManager(s.engine, m.options).resume(t.Context())
	s.did()
	if err := m.Forget(s.file); err != nil {
		t.Fatal(err)
	}
	if all := newManager(s.engine, m.options).Projects(); len(all) != 0 {
		t.Errorf("after Forget there is %+v", all)
	}
}

// TestEnvironment: what variables stood for at up is what the app goes by later.
func TestEnvironment(t *testing.T) {
	s := newStage(t, "[containers.web]\nimage = 'web'\nenvironment = { KEY = '${SECRET}' }\n").withoutPulls()
	request := api.ProjectRequest{File: s.file, Env: map[string]string{"SECRET": "s3"}}
	if err := s.manager.Up(t.Context(), request, func(api.ProjectProgress) {}); err != nil {
		t.Fatal(err)
	}
	all := newManager(s.engine, s.manager.options).Projects()
	if len(all) != 1 || len(all[0].Problems) > 0 || len(all[0].Changes) > 0 {
		t.Errorf("%+v", all)
	}
	if info, err := os.Stat(s.manager.options.Book); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the list of projects: %v, %v", info, err)
	}
}

// TestChanges: what up would do is told, and what can be done live is.
func TestChanges(t *testing.T) {
	s := newStage(t, shop).withoutPulls()
	plan := func() []api.ProjectChange {
		t.Helper()
		changes, err := s.manager.Plan(t.Context(), api.ProjectRequest{File: s.file})
		if err != nil {
			t.Fatal(err)
		}
		return changes
	}
	want := []api.ProjectChange{{Container: "db", Action: api.ProjectCreate}, {Container: "api", Action: api.ProjectCreate}, {Container: "web", Action: api.ProjectCreate}}
	if diff := cmp.Diff(want, plan()); diff != "" {
		t.Errorf("down (-want +got):\n%s", diff)
	}
	s.mustUp()
	if changes := plan(); len(changes) > 0 {
		t.Errorf("up: %+v", changes)
	}
	s.edit(`ports = ["8080:80"]`, "ports = [\"8081:80\"]\nmemory = \"256m\"\nweb_port = 80\nrestart = \"always\"")
	s.edit("[containers.api]\n", "[containers.api]\nrestart = \"always\"\nweb_port = 90\n")
	s.edit("[containers.debug]\nimage = \"db\"\nmanual = true\n", "[containers.debug]\nimage = \"db\"\n")
	want = []api.ProjectChange{
		{Container: "api", Action: api.ProjectUpdate, Keys: []string{"restart", "web_port"}},
		{Container: "web", Action: api.ProjectRestart, Keys: []string{"memory", "ports"}},
		{Container: "debug", Action: api.ProjectCreate},
	}
	if diff := cmp.Diff(want, plan()); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	s.engine.take()
	s.mustUp()
	did := s.engine.take()
	slices.Sort(did) // debug is started at any time
	acts := []string{"create shop-debug", "create shop-web", "remove shop-web", "start shop-debug", "start shop-web", "stop shop-web", "update shop-api"}
	if diff := cmp.Diff(acts, did); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if changes := plan(); len(changes) > 0 {
		t.Errorf("up again: %+v", changes)
	}
}

// TestFileChanges has files change, break and go while they are watched.
func TestFileChanges(t *testing.T) {
	s := newStage(t, shop).withoutPulls()
	changed := make(chan struct{}, 100)
	broken := make(chan skerryfile.Problems, 1)
	o := s.manager.options
	o.Changed = func() { changed <- struct{}{} }
	o.Broken = func(_, _ string, p skerryfile.Problems) { broken <- p }
	s.manager = newManager(s.engine, o)
	s.mustUp()
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		s.manager.Run(ctx)
	}()
	status := func() Status {
		all := s.manager.Projects()
		if len(all) != 1 {
			t.Fatalf("%+v", all)
		}
		return all[0]
	}
	until := func(what string, cond func(Status) bool) {
		t.Helper()
		for !cond(status()) {
			select {
			case <-changed:
			case <-t.Context().Done():
				t.Fatalf("not %s: %+v", what, status())
			}
		}
	}
	for watched := false; !watched; { // what changes before is read anyway
		s.manager.files.mu.Lock()
		watched = s.manager.files.watcher != nil
		s.manager.files.mu.Unlock()
	}
	s.edit("8080:80", "8081:80")
	until("changed", func(s Status) bool { return len(s.Changes) == 1 })
	s.did(done(s)...) // and nothing is applied by itself
	overlay := filepath.Join(filepath.Dir(s.file), skerryfile.OverlayName)
	if err := os.WriteFile(overlay, []byte("[containers.web]\nports = ['8080:80']\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	until("as it was", func(s Status) bool { return len(s.Changes) == 0 })
	s.edit("8081:80", "nonsense")
	if err := os.Remove(overlay); err != nil {
		t.Fatal(err)
	}
	if p := <-broken; len(p) != 1 || !strings.Contains(p[0].Message, "nonsense") {
		t.Errorf("broken: %v", p)
	}
	until("broken", func(s Status) bool { return len(s.Problems) == 1 && len(s.Containers) == 3 && s.Name == "shop" })
	cancel()
	<-ran
}

// done is what bringing the shop up does.
func done(*stage) []string {
	return []string{"create shop-db", "create shop-api", "create shop-web", "start shop-db", "start shop-api", "start shop-web"}
}

// TestVolumes: a project's volumes are its own, stay when it goes down, and go
// when they are to.
func TestVolumes(t *testing.T) {
	t.Run("network block device", func(t *testing.T) {
		s := newStage(t, "name = 'shop'\n[containers.db]\nimage = 'db'\nvolumes = ['data:/data']\n[volumes.data]\nurl = 'nbd://store/x'\n").withoutPulls()
		s.mustUp()
		if v := s.engine.volumes; len(v) != 1 || v[0].Name != "shop_data" || v[0].NBD != "nbd://store:10809/x" || v[0].Size != 0 {
			t.Errorf("the volumes are %+v", v)
		}
	})
	s := newStage(t, "name = 'shop'\n[containers.db]\nimage = 'db'\nvolumes = ['data:/data', 'common:/common']\n"+
		"[volumes.data]\nsize = '20g'\n[volumes.common]\nexternal = true\n").withoutPulls()
	s.engine.volumes = []engine.Volume{{Name: "common"}, {Name: "other"}}
	s.mustUp()
	mounts := s.find("shop-db").snapshot.Spec.Mounts
	want := []engine.Mount{{Type: engine.MountVolume, Source: "shop_data", Target: "/data"}, {Type: engine.MountVolume, Source: "common", Target: "/common"}}
	if diff := cmp.Diff(want, mounts); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	if err := s.down(); err != nil {
		t.Fatal(err)
	}
	if v := s.engine.volumes; len(v) != 3 || v[2].Name != "shop_data" || v[2].Size != 20<<30 {
		t.Errorf("after down the volumes are %+v", v)
	}
	s.engine.take()
	if err := s.manager.Down(t.Context(), api.ProjectRequest{File: s.file, Volumes: true}, func(api.ProjectProgress) {}); err != nil {
		t.Fatal(err)
	}
	s.did("remove volume shop_data")
}
