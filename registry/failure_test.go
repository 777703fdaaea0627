package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/skerry-app/skerry/registry/registrytest"
)

// noisy is an image of one layer that does not compress.
func noisy(size int) registrytest.Image {
	noise := make([]byte, size)
	rand.New(rand.NewSource(int64(size))).Read(noise)
	return registrytest.Image{Layers: []registrytest.Layer{{Files: []registrytest.File{{Name: "noise", Body: noise}}}}}
}

func layerOf(t *testing.T, img registrytest.Image) digest.Digest {
	t.Helper()
	built, err := img.Build()
	if err != nil {
		t.Fatal(err)
	}
	return built.Layers[0].Descriptor.Digest
}

func TestPullFaults(t *testing.T) {
	img := noisy(64 << 10)
	layer := "GET /v2/app/blobs/" + layerOf(t, img).String()
	built, err := img.Build()
	if err != nil {
		t.Fatal(err)
	}
	config := "GET /v2/app/blobs/" + built.Config.Descriptor.Digest.String()
	const manifest = "GET /v2/app/manifests/"
	for name, test := range map[string]struct {
		request string
		do      func(http.ResponseWriter, *http.Request, http.Handler)
		class   error
		part    string
		tries   int // how often the request may be made; 0: any number
	}{
		"layer has a wrong bit":    {layer, registrytest.Corrupt(), errdefs.ErrDataLoss, "layer " + layerOf(t, img).String(), 1},
		"layer is cut":             {layer, registrytest.Truncate(1000), errdefs.ErrUnavailable, "connection broke", 0},
		"layer is too short":       {layer, registrytest.Change(func(b []byte) []byte { return b[:1000] }), errdefs.ErrDataLoss, "1000 of ", maxAttempts},
		"layer is too long":        {layer, registrytest.Change(func(b []byte) []byte { return append(slices.Clone(b), 0) }), errdefs.ErrDataLoss, "digest", 1},
		"layer is gone":            {layer, registrytest.Status(404), errdefs.ErrNotFound, "push the image again", 1},
		"layer is forbidden":       {layer, registrytest.Status(403), errdefs.ErrUnauthenticated, "log in", 1},
		"layer is a server error":  {layer, registrytest.Status(503), errdefs.ErrUnavailable, "has a fault", maxAttempts},
		"layer stalls":             {layer, registrytest.Stall(1000), errdefs.ErrUnavailable, "does not answer in time", maxAttempts},
		"configuration wrong":      {config, registrytest.Corrupt(), errdefs.ErrDataLoss, "configuration ", 1},
		"manifest is gone":         {manifest, registrytest.Status(404), errdefs.ErrNotFound, "not found in the registry: check the name and tag", 1},
		"manifest is no JSON":      {manifest, registrytest.Change(func([]byte) []byte { return []byte("<html>") }), errdefs.ErrDataLoss, "not JSON", 1},
		"manifest is both":         {manifest, registrytest.Change(func([]byte) []byte { return []byte(`{"config":{},"manifests":[]}`) }), errdefs.ErrDataLoss, "either", 1},
		"manifest is nothing":      {manifest, registrytest.Change(func([]byte) []byte { return []byte(`{}`) }), errdefs.ErrDataLoss, "either", 1},
		"manifest is of schema 1":  {manifest, registrytest.Change(func([]byte) []byte { return []byte(`{"schemaVersion":1,"fsLayers":[]}`) }), errdefs.ErrNotImplemented, "schema 1", 1},
		"manifest is huge":         {manifest, registrytest.Change(func([]byte) []byte { return bytes.Repeat([]byte(" "), 5<<20) }), nil, "exceeded maximum allowed size", 1},
		"manifest is forbidden":    {manifest, registrytest.Status(401), errdefs.ErrUnauthenticated, "wants a login", 1},
		"manifest is server error": {manifest, registrytest.Status(500), errdefs.ErrUnavailable, "has a fault", maxAttempts},
		"manifest stalls":          {manifest, registrytest.Stall(10), errdefs.ErrUnavailable, "does not answer in time", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hub := registrytest.Start(t, registrytest.Options{})
			push(t, hub.Remote, "app", "1", img)
			s := open(t, t.TempDir())
			// containers/image pauses for a second before it asks for the rest of a layer.
			s.patience.stall, s.patience.answer = 3*time.Second, 2*time.Second
			if strings.HasSuffix(name, "stalls") {
				s.patience.stall = 200 * time.Millisecond
			}
			hub.Inject(registrytest.Fault{Request: test.request, Do: test.do})
			wantError(t, s, hub.Host+"/app:1", PullOptions{}, test.class, test.part)
			if n := hub.Requests(test.request); test.tries > 0 && n != test.tries {
				t.Errorf("the request was made %d times instead of %d", n, test.tries)
			}
			// Afterwards the same pull works.
			hub.Repair()
			pulled(t, s, hub.Host+"/app:1")
		})
	}
}

// TestPullOutlastsFaults lets requests fail once or twice.
func TestPullOutlastsFaults(t *testing.T) {
	img := noisy(64 << 10)
	for name, f := range map[string]registrytest.Fault{
		"layer is a server error": {Request: "/blobs/" + layerOf(t, img).String(), Times: 3, Do: registrytest.Status(502)},
		"layer is cut":            {Request: "/blobs/" + layerOf(t, img).String(), Times: 2, Do: registrytest.Truncate(5000)},
		"layer stalls":            {Request: "/blobs/" + layerOf(t, img).String(), Times: 1, Do: registrytest.Stall(5000)},
		"manifest":                {Request: "/manifests/", Times: 2, Do: registrytest.Status(500)},
		"first request":           {Request: "GET /v2/", Times: 2, Do: registrytest.Status(503)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hub := registrytest.Start(t, registrytest.Options{})
			push(t, hub.Remote, "app", "1", img)
			s := open(t, t.TempDir())
			s.patience.stall = 500 * time.Millisecond
			hub.Inject(f)
			if got := bodies(t, s, pulled(t, s, hub.Host+"/app:1")); len(got) != 1 {
				t.Errorf("%d layers", len(got))
			}
		})
	}
}

func TestPullFromNowhere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := l.Addr().String()
	l.Close()
	s := open(t, t.TempDir())
	wantError(t, s, host+"/app:1", PullOptions{}, errdefs.ErrUnavailable, "registry "+host+": nothing answered")
	wantError(t, s, "no-such-host.invalid/app:1", PullOptions{}, errdefs.ErrUnavailable, "registry no-such-host.invalid", "no address")

	hub := registrytest.Start(t, registrytest.Options{})
	push(t, hub.Remote, "app", "1", simple("one"))
	wantError(t, s, hub.Host+"/app:2", PullOptions{}, errdefs.ErrNotFound, "not found in the registry: check the name and tag")
	wantError(t, s, hub.Host+"/none", PullOptions{}, errdefs.ErrNotFound, "not found in the registry: check the name and tag")
	wantError(t, s, hub.Host+"/app@"+digest.FromString("x").String(), PullOptions{}, errdefs.ErrNotFound)
}

// TestPullOtherManifestThanAsked has the registry send something else for a
// digest.
func TestPullOtherManifestThanAsked(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	d := push(t, hub.Remote, "app", "1", simple("one"))
	other, err := simple("two").Build()
	if err != nil {
		t.Fatal(err)
	}
	_, err = hub.PushIndex(t.Context(), "app", "both", forPlatform("linux/amd64"), forPlatform("linux/arm64"))
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, t.TempDir())
	hub.Inject(registrytest.Fault{Request: "GET /v2/app/manifests/sha256:", Do: registrytest.Change(func([]byte) []byte { return other.Manifest.Data })})
	wantError(t, s, hub.Host+"/app@"+d.String(), PullOptions{}, errdefs.ErrDataLoss, "the digest "+other.Manifest.Descriptor.Digest.String())
	wantError(t, s, hub.Host+"/app:both", PullOptions{}, errdefs.ErrDataLoss, "the digest "+other.Manifest.Descriptor.Digest.String())
}

func TestCancelledPullLeavesNothing(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	img := noisy(256 << 10)
	img.Layers = append(img.Layers, simple("done at once").Layers...)
	push(t, hub.Remote, "app", "1", img)
	s := open(t, t.TempDir())
	hub.Inject(registrytest.Fault{Request: "/blobs/" + layerOf(t, img).String(), Do: registrytest.Stall(100_000)})
	reason := errors.New("the user has thought better of it")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := map[State]bool{}
	_, err := s.Pull(ctx, hub.Host+"/app:1", PullOptions{Progress: func(p Progress) {
		// One layer is complete, the other is on its way.
		if done[p.State] = true; done[StateDone] && done[StateDownloading] {
			cancel(reason)
		}
	}})
	if !errors.Is(err, reason) {
		t.Errorf("the error is %v", err)
	}
	if left := files(t, s); len(left) != 0 {
		t.Errorf("the pull has left %q", left)
	}
	if images, err := s.Images(); err != nil || len(images) != 0 {
		t.Errorf("there are %d images, %v", len(images), err)
	}
}

// TestOnlyLoopbackWithoutTLS reaches a registry by an address of this machine
// that other machines could have.
func TestOnlyLoopbackWithoutTLS(t *testing.T) {
	address := outside(t)
	for _, tls := range []bool{false, true} {
		hub := registrytest.Start(t, registrytest.Options{Address: "0.0.0.0:0", TLS: tls})
		push(t, hub.Remote, "app", "1", simple("one"))
		s := open(t, t.TempDir())
		_, port, _ := strings.Cut(hub.Host, ":")
		for _, host := range []string{"localhost", "127.0.0.1", "127.1.2.3"} {
			pulled(t, s, fmt.Sprintf("%s:%s/app:1", host, port))
		}
		part := "does not speak TLS"
		if tls {
			part = "does not trust"
		}
		wantError(t, open(t, t.TempDir()), net.JoinHostPort(address, port)+"/app:1", PullOptions{}, errdefs.ErrFailedPrecondition, part)
	}
}

// outside returns an address of this machine that is not loopback.
func outside(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no IPv4 address but loopback: add one to an interface")
	return ""
}
