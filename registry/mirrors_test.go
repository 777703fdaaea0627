package registry

import (
	"net/http"
	"slices"
	"testing"

	"github.com/skerry-app/skerry/registry/registrytest"
)

// TestMirrors pulls what a mirror has from there, and what it does not have, or
// while it is down, from the registry itself.
func TestMirrors(t *testing.T) {
	main, mirror := registrytest.Start(t, registrytest.Options{}), registrytest.Start(t, registrytest.Options{})
	image := registrytest.Image{Layers: []registrytest.Layer{{Files: []registrytest.File{{Name: "a", Body: []byte("a")}}}}}
	push := func(s *registrytest.Server, repository string) {
		t.Helper()
		if _, err := image.Push(t.Context(), s.Host, repository, "1"); err != nil {
			t.Fatal(err)
		}
	}
	push(mirror, "hub/both")
	push(main, "both")
	push(main, "only")
	before := main.Requests("/v2/both/")
	store, err := Open(t.TempDir(), Options{Mirrors: map[string][]string{main.Host: {mirror.Host + "/hub"}}})
	if err != nil {
		t.Fatal(err)
	}
	pull := func(repository string) {
		t.Helper()
		img, err := store.Pull(t.Context(), main.Host+"/"+repository+":1", PullOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(img.Names, main.Host+"/"+repository+":1") {
			t.Errorf("the image is called %q", img.Names)
		}
	}
	pull("both")
	if n := main.Requests("/v2/both/") - before; n != 0 {
		t.Errorf("the registry was asked %d times for what its mirror has", n)
	}
	pull("only")
	mirror.Inject(registrytest.Fault{Request: "/v2/", Do: registrytest.Status(http.StatusServiceUnavailable)})
	push(main, "later")
	pull("later")

	for _, bad := range []string{"", "https://a", "A B"} {
		if _, err := Open(t.TempDir(), Options{Mirrors: map[string][]string{main.Host: {bad}}}); err == nil {
			t.Errorf("mirror %q is taken", bad)
		}
	}
}
