package tests

import (
	"archive/tar"
	"crypto/rand"
	"net/http"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-app/skerry/registry/registrytest"
	"github.com/skerry-app/skerry/tests/busybox"
)

// faults makes images and registries that are not as they should be.
var faults faultMaker

type faultMaker struct{}

func (faultMaker) host() string { return registryServer.Host }

// push puts an image under a name of its own into the shared registry.
func (f faultMaker) push(t *testing.T, name string, image registrytest.Image) (ref string) {
	t.Helper()
	if _, err := image.Push(t.Context(), f.host(), "fault/"+name, "latest"); err != nil {
		t.Fatal(err)
	}
	return f.host() + "/fault/" + name + ":latest"
}

// own starts a registry of its own that serves one image with a fault in its
// layer.
func (f faultMaker) own(t *testing.T, o registrytest.Options, do func(http.ResponseWriter, *http.Request, http.Handler)) (ref string) {
	t.Helper()
	s, err := registrytest.Serve(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	image := registrytest.Image{Layers: []registrytest.Layer{{Files: []registrytest.File{{Name: "data", Body: noise(t, 64<<10)}}}}}
	built, err := image.Build()
	if err != nil {
		t.Fatal(err)
	}
	r := registrytest.Remote{URL: "http://" + s.Host, Username: o.Username, Password: o.Password}
	if _, err := r.Push(t.Context(), "fault/layer", "latest", image); err != nil {
		t.Fatal(err)
	}
	if do != nil {
		s.Inject(registrytest.Fault{Request: "GET /v2/fault/layer/blobs/" + built.Layers[0].Descriptor.Digest.String(), Do: do})
	}
	return s.Host + "/fault/layer:latest"
}

// noise does not compress.
func noise(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

// stalledPull is an image whose layer stops on its way.
type stalledPull struct {
	ref     string
	reached chan struct{} // closed when it has
}

func (f faultMaker) stalling(t *testing.T) stalledPull {
	t.Helper()
	reached := make(chan struct{})
	stall := registrytest.Stall(1000)
	first := make(chan struct{}, 1)
	first <- struct{}{}
	ref := f.own(t, registrytest.Options{}, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		select {
		case <-first:
			close(reached)
		default:
		}
		stall(w, r, real)
	})
	return stalledPull{ref, reached}
}

func (f faultMaker) truncated(t *testing.T) string {
	return f.own(t, registrytest.Options{}, registrytest.Truncate(1000))
}

func (f faultMaker) wrongDigest(t *testing.T) string {
	return f.own(t, registrytest.Options{}, registrytest.Corrupt())
}

func (f faultMaker) unauthorized(t *testing.T) string {
	return f.own(t, registrytest.Options{Username: "someone", Password: "secret"}, nil)
}

// big does not fit into the small file system of TestFullDisk.
func (f faultMaker) big(t *testing.T) string {
	return f.push(t, "big", registrytest.Image{Layers: []registrytest.Layer{{Files: []registrytest.File{{Name: "data", Body: noise(t, 8<<20)}}}}})
}

func (f faultMaker) noTar(t *testing.T) string {
	image, err := busybox.Image()
	if err != nil {
		t.Fatal(err)
	}
	image.Layers = append(image.Layers, registrytest.Layer{Tar: []byte(strings.Repeat("this is no archive ", 100))})
	return f.push(t, "no-tar", image)
}

func (f faultMaker) otherPlatform(t *testing.T) string {
	t.Helper()
	image := registrytest.Image{Layers: []registrytest.Layer{{Files: []registrytest.File{{Name: "x"}}}}}
	image.Config.Platform = ocispec.Platform{OS: "linux", Architecture: "s390x"}
	r := registrytest.Remote{URL: "http://" + f.host()}
	if _, err := r.PushIndex(t.Context(), "fault/platform", "latest", image); err != nil {
		t.Fatal(err)
	}
	return f.host() + "/fault/platform:latest"
}

func (f faultMaker) noCommand(t *testing.T) string {
	return f.push(t, "no-command", registrytest.Image{Layers: []registrytest.Layer{{Files: []registrytest.File{{Name: "x"}}}}})
}

// escaping has members whose names would leave the image if they were taken
// literally.
func (f faultMaker) escaping(t *testing.T) string {
	image, err := busybox.Image()
	if err != nil {
		t.Fatal(err)
	}
	image.Layers = append(image.Layers, registrytest.Layer{Files: []registrytest.File{
		{Name: "../../escaped-up", Body: []byte("up\n")},
		{Name: "/escaped-absolute", Body: []byte("absolute\n")},
		{Name: "real/"},
		{Name: "link", Type: tar.TypeSymlink, Link: "../../../real"},
		{Name: "link/through-link", Body: []byte("link\n")},
	}})
	return f.push(t, "escaping", image)
}
