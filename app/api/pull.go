package api

import (
	"net/http"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
	"github.com/opencontainers/go-digest"
)

// pullReference puts the name of the image to pull together from the query.
func pullReference(r *http.Request) (reference.Named, error) {
	q := r.URL.Query()
	name, tag := strings.TrimSuffix(q.Get("fromImage"), ":"), q.Get("tag")
	if name == "" {
		return nil, notImplemented("importing images is")
	}
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, invalid("%q is not the name of an image: %v", name, err)
	}
	if tag != "" {
		if d, derr := digest.Parse(tag); derr == nil { // Docker takes a digest for a tag
			ref, err = reference.WithDigest(reference.TrimNamed(ref), d)
		} else {
			ref, err = reference.WithTag(reference.TrimNamed(ref), tag)
		}
		if err != nil {
			return nil, invalid("tag %q: %v", tag, err)
		}
	}
	if reference.IsNameOnly(ref) {
		return nil, notImplemented("pulling all tags of an image is")
	}
	return ref, nil
}

// credentials reads what the client knows of the registry. What cannot be read
// counts as none, as with Docker: the pull may need no credentials.
func credentials(r *http.Request) *registry.AuthConfig {
	auth, err := authconfig.Decode(r.Header.Get(registry.AuthHeader))
	if err != nil || *auth == (registry.AuthConfig{}) {
		return nil
	}
	return auth
}
