package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/registry/registrytest"
)

// sharing makes images that have their lower layers in common.
func sharing(n int) []registrytest.Image {
	var images []registrytest.Image
	for i := range n {
		img := noisy(200_000)
		img.Layers = append(img.Layers, simple("common").Layers...)
		img.Layers = append(img.Layers, simple(fmt.Sprint("own ", i)).Layers...)
		images = append(images, img)
	}
	return images
}

func TestPullsAtTheSameTime(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	images := sharing(4)
	for i, img := range images {
		push(t, hub.Remote, "app", fmt.Sprint(i), img)
	}
	s := open(t, t.TempDir())
	var all sync.WaitGroup
	for i := range 3 * len(images) {
		all.Go(func() {
			img, err := s.Pull(t.Context(), fmt.Sprintf("%s/app:%d", hub.Host, i%len(images)), PullOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			bodies(t, s, img)
		})
	}
	all.Wait()
	if got, err := s.Images(); err != nil || len(got) != len(images) {
		t.Errorf("there are %d images, %v", len(got), err)
	}
	var once int64
	for i, img := range images {
		built, err := img.Build()
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			once = built.Layers[0].Descriptor.Size + built.Layers[1].Descriptor.Size
		}
		once += built.Layers[2].Descriptor.Size
	}
	if size := s.Size(); size != once {
		t.Errorf("the layers have %d bytes instead of %d", size, once)
	}
	if n := hub.Requests("GET /v2/app/blobs/" + layerOf(t, images[0]).String()); n != 1 {
		t.Errorf("the layer that all have was fetched %d times", n)
	}
	again := open(t, s.dir)
	if got, err := again.Images(); err != nil || len(got) != len(images) {
		t.Errorf("opened again, there are %d images, %v", len(got), err)
	}
}

// TestWaitingPullTakesOver cancels the pull that fetches what another waits for.
func TestWaitingPullTakesOver(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	img := noisy(300_000)
	push(t, hub.Remote, "app", "1", img)
	request := "GET /v2/app/blobs/" + layerOf(t, img).String()
	fetching, waiting := make(chan struct{}), make(chan struct{})
	hub.Inject(registrytest.Fault{Request: request, Times: 1, Do: func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		close(fetching)
		registrytest.Stall(1000)(w, r, real)
	}})
	s := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	var once sync.Once
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := s.Pull(ctx, hub.Host+"/app:1", PullOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("the cancelled pull ends with %v", err)
		}
	})
	<-fetching
	all.Go(func() {
		img, err := s.Pull(t.Context(), hub.Host+"/app:1", PullOptions{Progress: func(p Progress) {
			if p.State == StateWaiting {
				once.Do(func() { close(waiting) })
			}
		}})
		if err != nil {
			t.Error(err)
			return
		}
		bodies(t, s, img)
	})
	<-waiting
	cancel()
	all.Wait()
	if n := hub.Requests(request); n != 2 {
		t.Errorf("the layer was asked for %d times", n)
	}
}

// TestPullWhileOthersRemove has images come and go that share layers. What a
// pull has returned is whole until somebody removes it.
func TestPullWhileOthersRemove(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	images := sharing(3)
	for i, img := range images {
		push(t, hub.Remote, "app", fmt.Sprint(i), img)
	}
	s := open(t, t.TempDir())
	var all sync.WaitGroup
	for i := range images {
		ref := fmt.Sprintf("%s/app:%d", hub.Host, i)
		all.Go(func() {
			for range 15 {
				img, err := s.Pull(t.Context(), ref, PullOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				bodies(t, s, img)
				if _, err := s.Image(img.ID.Encoded()[:12]); err != nil {
					t.Error(err)
				}
				if err := s.Tag(t.Context(), ref, "mine:"+fmt.Sprint(i)); err != nil {
					t.Error(err)
				}
				if _, err := s.Remove(t.Context(), img.ID.String(), true); err != nil {
					t.Error(err)
				}
				if _, err := s.Image(ref); !errors.Is(err, errdefs.ErrNotFound) {
					t.Errorf("a removed image gives %v", err)
				}
			}
		})
	}
	all.Wait()
	if left := files(t, s); len(left) != 0 {
		t.Errorf("there is left %q", left)
	}
}
