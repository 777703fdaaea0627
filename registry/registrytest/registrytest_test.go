package registrytest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// get returns the answer to a request, or how it failed.
func get(t *testing.T, s *Server, path string) (status int, body []byte, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := s.Client
	if client == nil {
		client = http.DefaultClient
	}
	if s.Username != "" {
		req.SetBasicAuth(s.Username, s.Password)
	}
	answer, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	return answer.StatusCode, body, err
}

var image = Image{Layers: []Layer{{Files: []File{{Name: "dir/"}, {Name: "dir/file", Body: []byte("text")}}}}}

func TestServers(t *testing.T) {
	built, err := image.Build()
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"plain": {}, "TLS": {TLS: true}, "password": {Username: "me", Password: "secret"}, "directory": {Dir: t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			s := Start(t, o)
			d, err := s.Push(t.Context(), "team/app", "1", image)
			if err != nil || d != built.Manifest.Descriptor.Digest {
				t.Fatalf("pushed %s, %v", d, err)
			}
			if status, body, err := get(t, s, "/v2/team/app/blobs/"+built.Layers[0].Descriptor.Digest.String()); err != nil || status != http.StatusOK || !bytes.Equal(body, built.Layers[0].Data) {
				t.Errorf("the layer is %d, %d bytes, %v", status, len(body), err)
			}
			if n := s.Requests("GET /v2/team/app/blobs/"); n != 1 {
				t.Errorf("%d requests for blobs", n)
			}
			if o.Username != "" {
				s.Password = "wrong"
				if _, err := s.Push(t.Context(), "team/app", "2", image); err == nil {
					t.Error("a wrong password is accepted")
				}
			}
			index, err := s.Remote.PushIndex(t.Context(), "team/app", "all", image)
			if o.Username == "" && (err != nil || index == d) {
				t.Errorf("the index is %s, %v", index, err)
			}
		})
	}
}

// TestDirectoryStays has one registry after another in a directory.
func TestDirectoryStays(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, err := Serve(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := image.Push(t.Context(), s.Host, "app", "1"); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, _, err := get(t, s, "/v2/"); err == nil {
		t.Error("a closed registry answers")
	}
	if status, _, err := get(t, Start(t, o), "/v2/app/tags/list"); err != nil || status != http.StatusOK {
		t.Errorf("the image is %d, %v", status, err)
	}
}

func TestFaults(t *testing.T) {
	s := Start(t, Options{})
	data := bytes.Repeat([]byte("0123456789"), 1000)
	if err := s.PutBlob(t.Context(), "app", data); err != nil {
		t.Fatal(err)
	}
	path := "/v2/app/blobs/" + newBlob("", data).Descriptor.Digest.String()
	for name, test := range map[string]struct {
		do     func(http.ResponseWriter, *http.Request, http.Handler)
		status int
		length int // of the body that arrives
		fails  bool
	}{
		"status":   {Status(503), 503, len("fault injected\n"), false},
		"corrupt":  {Corrupt(), 200, len(data), false},
		"truncate": {Truncate(100), 200, 100, true},
		"change":   {Change(func(b []byte) []byte { return b[:7] }), 200, 7, false},
	} {
		s.Inject(Fault{Request: "GET " + path, Times: 1, Do: test.do})
		status, body, err := get(t, s, path)
		if status != test.status || len(body) != test.length || (err != nil) != test.fails || bytes.Equal(body, data) {
			t.Errorf("%s: %d, %d bytes, %v", name, status, len(body), err)
		}
		if _, body, err := get(t, s, path); err != nil || !bytes.Equal(body, data) {
			t.Errorf("after %s: %d bytes, %v", name, len(body), err)
		}
	}
	s.Inject(Fault{Request: path, Do: Stall(10)})
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.ReadFull(answer.Body, make([]byte, 10)); err != nil {
		t.Errorf("the first bytes: %v", err)
	}
	cancel()
	if n, err := answer.Body.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("then come %d bytes, %v", n, err)
	}
}

func TestBuildIsRepeatable(t *testing.T) {
	for _, c := range []Compression{Gzip, Zstd, Plain} {
		img := image
		img.Config = ocispec.Image{Platform: ocispec.Platform{Architecture: "arm64"}}
		img.Layers = []Layer{{Files: image.Layers[0].Files, Compression: c}}
		a, err := img.Build()
		if err != nil {
			t.Fatal(err)
		}
		b, err := img.Build()
		if err != nil || a.Manifest.Descriptor.Digest != b.Manifest.Descriptor.Digest {
			t.Errorf("%q: two builds differ, %v", c, err)
		}
		if p := a.Manifest.Descriptor.Platform; p.OS != "linux" || p.Architecture != "arm64" {
			t.Errorf("%q: the platform is %v", c, p)
		}
	}
	if _, err := Tar(File{Name: string([]byte{0})}); err == nil {
		t.Error("a name that tar cannot have is accepted")
	}
}
