package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/skerry-app/skerry/registry/registrytest"
)

// TestUnpackWhileArriving reads half a layer before the registry sends the
// other half.
func TestUnpackWhileArriving(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	img := noisy(1 << 20)
	push(t, hub.Remote, "app", "1", img)
	built, err := img.Build()
	if err != nil {
		t.Fatal(err)
	}
	want := built.Layers[0].Data
	half := make(chan struct{})
	hub.Inject(registrytest.Fault{Request: "/blobs/" + layerOf(t, img).String(), Do: func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Write(want[:len(want)/2])
		http.NewResponseController(w).Flush()
		select {
		case <-half:
		case <-r.Context().Done():
		}
		w.Write(want[len(want)/2:])
	}})
	s := open(t, t.TempDir())
	s.patience.stall = 20 * time.Second // how long it takes when nothing is given before the end
	var got []byte
	pulled, err := s.Pull(t.Context(), hub.Host+"/app:1", PullOptions{Unpack: func(ctx context.Context, _ digest.Digest, layers []Layer) error {
		r, err := layers[0].Open(ctx)
		if err != nil {
			return err
		}
		defer r.Close()
		got = make([]byte, len(want)/2)
		if _, err := io.ReadFull(r, got); err != nil {
			return err
		}
		close(half)
		rest, err := io.ReadAll(r)
		got = append(got, rest...)
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the layer is another one")
	}
	if pulled.ID != built.Config.Descriptor.Digest {
		t.Errorf("the image is %s", pulled.ID)
	}
}

// readLayers reads all layers to their end.
func readLayers(ctx context.Context, layers []Layer) (all [][]byte, err error) {
	for _, l := range layers {
		r, err := l.Open(ctx)
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

// TestUnpackFails ends a pull for which unpacking has failed, at the end and
// before a layer has come.
func TestUnpackFails(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	img := noisy(64 << 10)
	push(t, hub.Remote, "app", "1", img)
	s := open(t, t.TempDir())
	why := errors.New("the disk is no good")
	wantError(t, s, hub.Host+"/app:1", PullOptions{Unpack: func(ctx context.Context, _ digest.Digest, layers []Layer) error {
		_, err := readLayers(ctx, layers)
		return errors.Join(err, why)
	}}, why, "unpack: the disk is no good")
	wantError(t, s, hub.Host+"/app:1", PullOptions{Unpack: func(context.Context, digest.Digest, []Layer) error {
		return why
	}}, why, "unpack: the disk is no good")
}

// TestUnpackOfDamage gives nobody the end of a layer with a wrong digest, and
// tells the registry's error, not that of who has read it, be it the first.
func TestUnpackOfDamage(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	img := noisy(64 << 10)
	push(t, hub.Remote, "app", "1", img)
	s := open(t, t.TempDir())
	hub.Inject(registrytest.Fault{Request: "/blobs/" + layerOf(t, img).String(), Do: registrytest.Corrupt()})
	wantError(t, s, hub.Host+"/app:1", PullOptions{Unpack: func(ctx context.Context, _ digest.Digest, layers []Layer) error {
		if _, err := readLayers(ctx, layers); err == nil {
			t.Error("a damaged layer was read to its end")
		}
		return errors.New("not told")
	}}, errdefs.ErrDataLoss, "layer "+layerOf(t, img).String())
	wantError(t, s, hub.Host+"/app:1", PullOptions{Unpack: func(context.Context, digest.Digest, []Layer) error {
		return errors.New("not told either")
	}}, errdefs.ErrDataLoss, "layer "+layerOf(t, img).String())
}

// TestUnpackAgain has a download begin anew after a part of it has been read.
func TestUnpackAgain(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	img := noisy(64 << 10)
	push(t, hub.Remote, "app", "1", img)
	s := open(t, t.TempDir())
	s.patience.stall = 500 * time.Millisecond
	hub.Inject(registrytest.Fault{Request: "/blobs/" + layerOf(t, img).String(), Times: 1, Do: registrytest.Stall(5000)})
	var calls int
	var got [][]byte
	pulled, err := s.Pull(t.Context(), hub.Host+"/app:1", PullOptions{Unpack: func(ctx context.Context, _ digest.Digest, layers []Layer) (err error) {
		calls++
		got, err = readLayers(ctx, layers)
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	if calls != 2 || len(got) != 1 || !bytes.Equal(got[0], bodies(t, s, pulled)[0]) {
		t.Errorf("unpacked %d times, %d layers", calls, len(got))
	}
}

// TestUnpackOfWhatIsThere pulls layers that another image has brought, and one
// twice.
func TestUnpackOfWhatIsThere(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{})
	img := noisy(64 << 10)
	push(t, hub.Remote, "one", "1", img)
	img.Layers = append(img.Layers, img.Layers[0], noisy(10).Layers[0])
	push(t, hub.Remote, "two", "1", img)
	s := open(t, t.TempDir())
	pulled(t, s, hub.Host+"/one:1")
	var got [][]byte
	two, err := s.Pull(t.Context(), hub.Host+"/two:1", PullOptions{Unpack: func(ctx context.Context, _ digest.Digest, layers []Layer) (err error) {
		got, err = readLayers(ctx, layers)
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := bodies(t, s, two)
	if len(got) != 3 || len(want) != 3 {
		t.Fatalf("%d layers", len(got))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("layer %d is another one", i)
		}
	}
}
