package registry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/registry/registrytest"
)

// childEnv makes the test program one that pulls and removes over and over. It
// holds DIR REF.
const childEnv = "SKERRY_TEST_PULL"

func TestMain(m *testing.M) {
	if dir, ref, ok := strings.Cut(os.Getenv(childEnv), " "); ok {
		fmt.Fprintln(os.Stderr, pullForever(dir, ref))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func pullForever(dir, ref string) error {
	ctx := context.Background()
	for {
		s, err := Open(dir, Options{AuthFile: os.DevNull})
		if err != nil {
			return err
		}
		if _, err := s.Pull(ctx, ref, PullOptions{Auth: &Auth{}}); err != nil {
			return err
		}
		if _, err := s.Remove(ctx, ref, false); err != nil {
			return err
		}
	}
}

// child is pullForever in a process of its own.
type child struct {
	*exec.Cmd
	exited chan error
}

func startChild(t *testing.T, dir, ref string) child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := child{exec.Command(self), make(chan error, 1)}
	c.Env = append(os.Environ(), childEnv+"="+dir+" "+ref)
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.exited <- c.Wait() }()
	return c
}

// killWhen kills the child when it gets somewhere.
func (c child) killWhen(t *testing.T, reached <-chan struct{}) {
	t.Helper()
	select {
	case <-reached:
	case err := <-c.exited:
		t.Fatalf("the child ended by itself: %v", err)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := <-c.exited; !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the child ended with %v", err)
	}
}

// killable is a registry with an image to pull, and a store that has another.
func killable(t *testing.T) (hub *registrytest.Server, dir string, old Image, oldFiles []string) {
	t.Helper()
	hub = registrytest.Start(t, registrytest.Options{})
	img := noisy(300_000)
	img.Layers = append(img.Layers, simple("small").Layers...)
	img.Layers = append(img.Layers, simple("smaller").Layers...)
	push(t, hub.Remote, "app", "1", img)
	push(t, hub.Remote, "old", "1", simple("old"))
	dir = t.TempDir()
	s := open(t, dir)
	return hub, dir, pulled(t, s, hub.Host+"/old:1"), files(t, s)
}

// TestKilledPull kills a process at each request of a pull: ping, manifest,
// configuration and layers of the first, and then of another after a removal.
func TestKilledPull(t *testing.T) {
	hub, dir, old, before := killable(t)
	for round := 1; round <= 12; round++ {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			reached := make(chan struct{})
			var n atomic.Int64
			hub.Inject(registrytest.Fault{Request: "GET /v2/", Do: func(w http.ResponseWriter, r *http.Request, real http.Handler) {
				if n.Add(1) != int64(round) {
					real.ServeHTTP(w, r)
					return
				}
				close(reached)
				registrytest.Stall(100_000)(w, r, real)
			}})
			startChild(t, dir, hub.Host+"/app:1").killWhen(t, reached)
			hub.Repair()
			s := open(t, dir)
			if left := files(t, s); !slices.Equal(left, before) {
				t.Errorf("there is %q instead of %q", left, before)
			}
			bodies(t, s, old)
			bodies(t, s, pulled(t, s, hub.Host+"/app:1"))
			if _, err := s.Remove(t.Context(), hub.Host+"/app:1", false); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestKilledAnywhere kills a process at some moment while it pulls and removes
// over and over. The image is there afterwards, whole, or not at all.
func TestKilledAnywhere(t *testing.T) {
	hub, dir, old, before := killable(t)
	for range 15 {
		reached := make(chan struct{})
		var once sync.Once
		hub.Inject(registrytest.Fault{Request: "GET /v2/app/manifests/", Do: func(w http.ResponseWriter, r *http.Request, real http.Handler) {
			real.ServeHTTP(w, r)
			once.Do(func() { time.AfterFunc(rand.N(50*time.Millisecond), func() { close(reached) }) })
		}})
		startChild(t, dir, hub.Host+"/app:1").killWhen(t, reached)
		hub.Repair()
		s := open(t, dir)
		bodies(t, s, old)
		want := len(before)
		if img, err := s.Image(hub.Host + "/app:1"); err == nil {
			bodies(t, s, img)
			want += 5
		} else if !errors.Is(err, errdefs.ErrNotFound) {
			t.Error(err)
		}
		if left := files(t, s); len(left) != want {
			t.Errorf("there are %d files instead of %d: %q", len(left), want, left)
		}
	}
}
