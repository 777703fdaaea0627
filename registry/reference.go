package registry

import (
	"fmt"
	"net"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
)

// parseName reads an image name as docker does: docker.io, library/ and latest
// are implied, a digest beats a tag. The result has a tag or a digest, never
// both.
func parseName(s string) (reference.Named, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return nil, fmt.Errorf("%w: image name %q: %w: write it as [HOST[:PORT]/]PATH[:TAG|@DIGEST]", errdefs.ErrInvalidArgument, s, err)
	}
	if digested, ok := named.(reference.Digested); ok {
		if err := checkDigest(digested.Digest()); err != nil {
			return nil, fmt.Errorf("image name %q: %w", s, err)
		}
		return reference.WithDigest(reference.TrimNamed(named), digested.Digest())
	}
	return reference.TagNameOnly(named), nil
}

// familiar writes a normalised name as users do: docker.io/library/x:1 is x:1.
func familiar(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.FamiliarString(named)
}

// repository returns the normalised name without tag and digest.
func repository(name string) string {
	name, _, _ = strings.Cut(name, "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name = name[:colon]
	}
	return name
}

// isLoopback tells whether a registry's host[:port] is this machine. Such a
// registry may use plain HTTP or a certificate that nobody has signed, as with
// docker.
func isLoopback(domain string) bool {
	host := domain
	if h, _, err := net.SplitHostPort(domain); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
