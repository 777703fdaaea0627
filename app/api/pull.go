package api

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types"
	dockerregistry "github.com/moby/moby/api/types/registry"
	"github.com/opencontainers/go-digest"

	"github.com/skerry-app/skerry/registry"
)

// pullImage fetches an image. A client that goes away ends the pull, as with
// Docker.
func (s *Server) pullImage(w http.ResponseWriter, r *http.Request) error {
	ref, err := pullReference(r)
	if err != nil {
		return err
	}
	p := &pullStream{progressStream: progressStream{out: newStream(w, types.MediaTypeJSON)}, name: reference.Path(ref), tag: tagOf(ref)}
	options := registry.PullOptions{Platform: r.URL.Query().Get("platform"), Auth: credentials(r), Progress: p.progress}
	if _, err := s.engine.Pull(r.Context(), ref.String(), options); err != nil {
		return s.failTransfer(&p.progressStream, "pull", ref, err)
	}
	p.done(reference.FamiliarString(ref))
	return nil
}

func tagOf(ref reference.Named) string {
	switch ref := ref.(type) {
	case reference.Digested:
		return ref.Digest().String()
	case reference.Tagged:
		return ref.Tag()
	}
	return ""
}

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
func credentials(r *http.Request) *registry.Auth {
	c, err := authconfig.Decode(r.Header.Get(dockerregistry.AuthHeader))
	if err != nil {
		return nil
	}
	auth := toAuth(*c)
	if auth.Username == "" && c.Auth != "" { // "name:password" in base64
		if text, err := base64.StdEncoding.DecodeString(c.Auth); err == nil {
			auth.Username, auth.Password, _ = strings.Cut(string(text), ":")
		}
	}
	if auth == (registry.Auth{}) {
		return nil
	}
	return &auth
}
