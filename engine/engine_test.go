package engine

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/skerry-app/skerry/engine/vm"
)

// noMachines is a driver on a host that cannot run any.
type noMachines struct{}

func (noMachines) Name() string                       { return "none" }
func (noMachines) Parallel() bool                     { return true }
func (noMachines) Check(context.Context) []vm.Finding { return nil }
func (noMachines) New(context.Context, vm.Config) (vm.Machine, error) {
	return nil, errors.New("this host runs no machines")
}

func openEngine(t *testing.T, home string) *Engine {
	t.Helper()
	e, err := Open(t.Context(), Options{Home: home, Kernel: os.DevNull, InitImage: os.DevNull, Driver: noMachines{},
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(context.Background()) })
	return e
}

// plant puts a container's record into a home, as a process that was killed
// has left it.
func plant(t *testing.T, h home, rec record) {
	t.Helper()
	if rec.Version == 0 {
		rec.Version = recordVersion
	}
	if rec.Process.Args == nil {
		rec.Process.Args = []string{"true"}
	}
	data, err := json.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(h.container(rec.ID), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.record(rec.ID), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenClearsUp(t *testing.T) {
	dir := t.TempDir()
	h := home(dir)
	plant(t, h, record{ID: "aaaa", Name: "ran", State: State{Status: StatusRunning}})
	plant(t, h, record{ID: "bbbb", Name: "auto", Spec: Spec{AutoRemove: true}, State: State{Status: StatusRunning}})
	plant(t, h, record{ID: "cccc", Name: "created", Spec: Spec{AutoRemove: true}, State: State{Status: StatusCreated}})
	plant(t, h, record{ID: "dddd", Name: "future", Version: 99})
	for _, left := range []string{prefixNew + "eeee", prefixGone + "ffff"} {
		if err := os.MkdirAll(filepath.Join(h.container(left), "x"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	e := openEngine(t, dir)
	states := map[string]Status{}
	for _, c := range e.Containers() {
		states[c.Snapshot().Name] = c.Snapshot().State.Status
	}
	if len(states) != 2 || states["ran"] != StatusExited || states["created"] != StatusCreated {
		t.Errorf("the containers are %v", states)
	}
	c, err := e.Container("ran")
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Snapshot().State; s.ExitCode != exitSkerry || !strings.Contains(s.Error, "app ended") {
		t.Errorf("it ended with %d: %q", s.ExitCode, s.Error)
	}
	entries, err := os.ReadDir(h.containers())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	// What cannot be read is somebody's data and stays.
	if got := strings.Join(names, " "); got != "aaaa cccc dddd" {
		t.Errorf("left are %s", got)
	}
}

// TestOpenForgetsDisks plants disks of images that nobody has, and of one that
// a container has.
func TestOpenForgetsDisks(t *testing.T) {
	dir := t.TempDir()
	h := home(dir)
	used := digest.FromString("used")
	plant(t, h, record{ID: "aaaa", Name: "ran", ImageID: used, State: State{Status: StatusExited}})
	if err := os.MkdirAll(h.disks(), 0o700); err != nil {
		t.Fatal(err)
	}
	disks := func() (names []string) {
		entries, err := os.ReadDir(h.disks())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	for _, name := range []string{used.Encoded() + ".ext4", digest.FromString("orphan").Encoded() + ".ext4", ".tmp-1", "not ours"} {
		if err := os.WriteFile(filepath.Join(h.disks(), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := openEngine(t, dir)
	if got, want := strings.Join(disks(), " "), used.Encoded()+".ext4 not ours"; got != want {
		t.Errorf("left are %s, want %s", got, want)
	}
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	// With a container that cannot be read all stay.
	plant(t, h, record{ID: "dddd", Name: "future", Version: 99})
	orphan := filepath.Join(h.disks(), digest.FromString("orphan").Encoded()+".ext4")
	if err := os.WriteFile(orphan, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	openEngine(t, dir)
	if _, err := os.Stat(orphan); err != nil {
		t.Error(err)
	}
}

func TestHomeIsLocked(t *testing.T) {
	dir := t.TempDir()
	e := openEngine(t, dir)
	_, err := Open(t.Context(), e.options)
	if err == nil || !strings.Contains(err.Error(), "in use by another Skerry (process ") {
		t.Errorf("got %v", err)
	}
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	openEngine(t, dir)
}

func TestFindContainer(t *testing.T) {
	dir := t.TempDir()
	for _, rec := range []record{{ID: "abc1", Name: "one"}, {ID: "abc2", Name: "two"}, {ID: "ffff", Name: "abc"}} {
		rec.State.Status = StatusCreated
		plant(t, home(dir), rec)
	}
	e := openEngine(t, dir)
	for key, want := range map[string]string{"one": "abc1", "/two": "abc2", "abc1": "abc1", "f": "ffff", "abc": "ffff"} {
		if c, err := e.Container(key); err != nil || c.ID() != want {
			t.Errorf("%q is %v (%v), want %s", key, c, err, want)
		}
	}
	if _, err := e.Container("ab"); !errdefs.IsInvalidArgument(err) {
		t.Errorf("an ambiguous beginning gives %v", err)
	}
	if _, err := e.Container("none"); !errdefs.IsNotFound(err) {
		t.Errorf("an unknown name gives %v", err)
	}
}

func TestRenameAndRemove(t *testing.T) {
	dir := t.TempDir()
	plant(t, home(dir), record{ID: "abc1", Name: "one", State: State{Status: StatusExited}})
	plant(t, home(dir), record{ID: "abc2", Name: "two", State: State{Status: StatusExited}})
	e := openEngine(t, dir)
	events := e.Events(t.Context())
	c, err := e.Container("one")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Rename("two"); !errdefs.IsConflict(err) {
		t.Errorf("a name that is taken gives %v", err)
	}
	if err := c.Rename("three"); err != nil {
		t.Error(err)
	}
	if err := c.Remove(t.Context(), RemoveOptions{}); err != nil {
		t.Error(err)
	}
	if err := c.Remove(t.Context(), RemoveOptions{}); !errdefs.IsNotFound(err) {
		t.Errorf("a second removal gives %v", err)
	}
	if _, err := c.Wait(t.Context(), WaitRemoved, nil); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"rename", "destroy"} {
		if ev := <-events; ev.Action != want {
			t.Errorf("event %q, want %q", ev.Action, want)
		}
	}
	if _, err := os.Stat(home(dir).container("abc1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its data is still there: %v", err)
	}
}

func TestNothingToStop(t *testing.T) {
	dir := t.TempDir()
	plant(t, home(dir), record{ID: "abc1", Name: "one", State: State{Status: StatusExited, ExitCode: 7}})
	e := openEngine(t, dir)
	c, err := e.Container("one")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(t.Context(), "", nil); !errdefs.IsNotModified(err) {
		t.Errorf("stop gives %v", err)
	}
	if err := c.Kill(t.Context(), ""); !errdefs.IsConflict(err) {
		t.Errorf("kill gives %v", err)
	}
	if err := c.Stop(t.Context(), "WHAT", nil); !errdefs.IsInvalidArgument(err) {
		t.Errorf("an unknown signal gives %v", err)
	}
	if _, err := c.NewExec(ExecSpec{Command: []string{"x"}}); !errdefs.IsConflict(err) {
		t.Errorf("exec gives %v", err)
	}
	if exit, err := c.Wait(t.Context(), WaitNotRunning, nil); err != nil || exit.Code != 7 {
		t.Errorf("wait gives %+v (%v)", exit, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := c.Wait(ctx, WaitNextExit, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for the next exit gives %v", err)
	}
}

func TestSlowSubscriberIsCutOff(t *testing.T) {
	e := openEngine(t, t.TempDir())
	events := e.Events(t.Context())
	for range eventBuffer + 1 {
		e.bus.publish(Event{Action: "x"})
	}
	n := 0
	for range events {
		n++
	}
	if n != eventBuffer {
		t.Errorf("%d events came, want %d", n, eventBuffer)
	}
}

func TestWriteFileIsWholeOrNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, text := range []string{"one", "two"} {
		if err := writeFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%q (%v), want %q", got, err, text)
		}
	}
	if err := writeFile(filepath.Join(path, "below a file"), nil); err == nil {
		t.Error("no error where there is no directory")
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files are left (%v)", len(entries), err)
	}
}
