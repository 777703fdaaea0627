package registry

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/registry/registrytest"
)

func TestPush(t *testing.T) {
	from := registrytest.Start(t, registrytest.Options{})
	to := registrytest.Start(t, registrytest.Options{Username: "me", Password: "secret"})
	auth := &Auth{Username: "me", Password: "secret"}
	for _, docker := range []bool{false, true} {
		img := noisy(200_000)
		img.Docker = docker
		img.Layers = append(img.Layers, simple("zstd").Layers...)
		img.Layers[1].Compression = registrytest.Zstd
		want := push(t, from.Remote, "app", "1", img)
		s := open(t, t.TempDir())
		source := pulled(t, s, from.Host+"/app:1")
		ref := to.Host + "/team/copy:2"
		if _, err := s.Push(t.Context(), ref, PushOptions{Auth: auth}); !errors.Is(err, errdefs.ErrNotFound) || !strings.Contains(err.Error(), "push "+ref) {
			t.Errorf("a name that no image has gives %v", err)
		}
		if err := s.Tag(t.Context(), source.ID.String(), ref); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Push(t.Context(), ref, PushOptions{}); !errors.Is(err, errdefs.ErrUnauthenticated) {
			t.Errorf("without credentials: %v", err)
		}
		if _, err := s.Push(t.Context(), to.Host+"/team/copy@"+want.String(), PushOptions{}); !errors.Is(err, errdefs.ErrInvalidArgument) {
			t.Errorf("by digest: %v", err)
		}
		var states []State
		record := func(p Progress) { states = append(states, p.State) }
		got, err := s.Push(t.Context(), ref, PushOptions{Auth: auth, Progress: record})
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("the digest is %s there and %s here", got, want)
		}
		if last := states[len(states)-1]; last != StateDone && last != StateExists {
			t.Errorf("the states are %q", states)
		}
		if now, err := s.Image(ref); err != nil || !slices.Contains(now.RepoDigests, to.Host+"/team/copy@"+want.String()) {
			t.Errorf("the image has the digests %q, %v", now.RepoDigests, err)
		}
		other := open(t, t.TempDir())
		copied, err := other.Pull(t.Context(), ref, PullOptions{Auth: auth})
		if err != nil {
			t.Fatal(err)
		}
		if a, b := bodies(t, s, source), bodies(t, other, copied); copied.ID != source.ID || !slices.EqualFunc(a, b, bytes.Equal) {
			t.Error("the copy is another image")
		}

		uploads := to.Requests("POST /v2/team/copy/blobs/uploads/")
		states = nil
		if _, err := s.Push(t.Context(), ref, PushOptions{Auth: auth, Progress: record}); err != nil {
			t.Fatal(err)
		}
		if n := to.Requests("POST /v2/team/copy/blobs/uploads/"); n != uploads || !slices.Contains(states, StateExists) {
			t.Errorf("what was there was sent again: %d uploads, states %q", n-uploads, states)
		}
	}
}

func TestPushFaults(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	push(t, hub.Remote, "app", "1", simple("one"))
	s := open(t, t.TempDir())
	img := pulled(t, s, hub.Host+"/app:1")
	for name, test := range map[string]struct {
		fault registrytest.Fault
		class error // nil: it works in the end
	}{
		"refused":      {registrytest.Fault{Request: "POST ", Do: registrytest.Status(403)}, errdefs.ErrUnauthenticated},
		"broken":       {registrytest.Fault{Request: "PATCH ", Do: registrytest.Status(500)}, errdefs.ErrUnavailable},
		"broken once":  {registrytest.Fault{Request: "PATCH ", Times: 1, Do: registrytest.Status(500)}, nil},
		"no manifests": {registrytest.Fault{Request: "PUT /v2/no-manifests/manifests", Do: registrytest.Status(500)}, errdefs.ErrUnavailable},
	} {
		ref := hub.Host + "/" + strings.ReplaceAll(name, " ", "-") + ":1"
		if err := s.Tag(t.Context(), img.ID.String(), ref); err != nil {
			t.Fatal(err)
		}
		hub.Inject(test.fault)
		if _, err := s.Push(t.Context(), ref, PushOptions{}); test.class == nil && err != nil || test.class != nil && !errors.Is(err, test.class) {
			t.Errorf("%s: %v", name, err)
		}
		hub.Repair()
	}
}
