package registrytest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxAnswer limits what is quoted of a registry's error in bytes.
const maxAnswer = 4 << 10

// Remote pushes to a registry by plain requests of the distribution-spec, so
// that what it pushes may be as wrong as a test needs it.
type Remote struct {
	URL                string       // http://localhost:5000
	Client             *http.Client // nil is http.DefaultClient
	Username, Password string       // for HTTP basic authentication
}

// Push pushes an image to host/repository:tag by plain HTTP and returns the
// digest of its manifest.
func (i Image) Push(ctx context.Context, host, repository, tag string) (digest.Digest, error) {
	return Remote{URL: "http://" + host}.Push(ctx, repository, tag, i)
}

// Push pushes an image and returns the digest of its manifest.
func (r Remote) Push(ctx context.Context, repository, tag string, image Image) (digest.Digest, error) {
	built, err := image.Build()
	if err != nil {
		return "", err
	}
	if err := r.pushBlobs(ctx, repository, built); err != nil {
		return "", err
	}
	return r.PutManifest(ctx, repository, tag, built.Manifest.Descriptor.MediaType, built.Manifest.Data)
}

// PushIndex pushes images and an index of them, and returns the digest of the
// index.
func (r Remote) PushIndex(ctx context.Context, repository, tag string, images ...Image) (digest.Digest, error) {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for _, image := range images {
		if image.Docker {
			index.MediaType = DockerList
		}
		built, err := image.Build()
		if err != nil {
			return "", err
		}
		if err := r.pushBlobs(ctx, repository, built); err != nil {
			return "", err
		}
		m := built.Manifest
		if _, err := r.PutManifest(ctx, repository, m.Descriptor.Digest.String(), m.Descriptor.MediaType, m.Data); err != nil {
			return "", err
		}
		index.Manifests = append(index.Manifests, m.Descriptor)
	}
	data, err := json.Marshal(index)
	if err != nil {
		return "", err
	}
	return r.PutManifest(ctx, repository, tag, index.MediaType, data)
}

func (r Remote) pushBlobs(ctx context.Context, repository string, built Built) error {
	for _, b := range append(built.Layers, built.Config) {
		if err := r.PutBlob(ctx, repository, b.Data); err != nil {
			return err
		}
	}
	return nil
}

// PutBlob uploads a blob (distribution-spec, "POST then PUT").
func (r Remote) PutBlob(ctx context.Context, repository string, data []byte) error {
	d := digest.FromBytes(data)
	answer, err := r.do(ctx, http.MethodPost, r.URL+"/v2/"+repository+"/blobs/uploads/", "", nil, http.StatusAccepted)
	if err != nil {
		return fmt.Errorf("push blob %s: %w", d, err)
	}
	location, err := answer.Location()
	if err != nil {
		return fmt.Errorf("push blob %s: %w", d, err)
	}
	query := location.Query()
	query.Set("digest", d.String())
	location.RawQuery = query.Encode()
	if _, err := r.do(ctx, http.MethodPut, location.String(), "application/octet-stream", data, http.StatusCreated); err != nil {
		return fmt.Errorf("push blob %s: %w", d, err)
	}
	return nil
}

// PutManifest uploads a manifest as it is under a tag or its digest, and returns
// its digest.
func (r Remote) PutManifest(ctx context.Context, repository, reference, mediaType string, data []byte) (digest.Digest, error) {
	target := r.URL + "/v2/" + repository + "/manifests/" + url.PathEscape(reference)
	if _, err := r.do(ctx, http.MethodPut, target, mediaType, data, http.StatusCreated); err != nil {
		return "", fmt.Errorf("push manifest %s: %w", reference, err)
	}
	return digest.FromBytes(data), nil
}

func (r Remote) do(ctx context.Context, method, target, mediaType string, body []byte, want int) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	if r.Username != "" {
		req.SetBasicAuth(r.Username, r.Password)
	}
	client := r.Client
	if client == nil {
		client = http.DefaultClient
	}
	answer, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != want {
		return nil, fmt.Errorf("%s %s: %s: %s", method, target, answer.Status, text)
	}
	return answer, nil
}
