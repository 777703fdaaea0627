package registry

import (
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const someDigest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestParseName(t *testing.T) {
	for in, want := range map[string]struct{ full, familiar, repository string }{
		"alpine":                    {"docker.io/library/alpine:latest", "alpine:latest", "docker.io/library/alpine"},
		"alpine:3":                  {"docker.io/library/alpine:3", "alpine:3", "docker.io/library/alpine"},
		"user/x":                    {"docker.io/user/x:latest", "user/x:latest", "docker.io/user/x"},
		"index.docker.io/x":         {"docker.io/library/x:latest", "x:latest", "docker.io/library/x"},
		"localhost/x":               {"localhost/x:latest", "localhost/x:latest", "localhost/x"},
		"localhost:5000/x":          {"localhost:5000/x:latest", "localhost:5000/x:latest", "localhost:5000/x"},
		"[::1]:5000/x:1":            {"[::1]:5000/x:1", "[::1]:5000/x:1", "[::1]:5000/x"},
		"ex.test/a/b/c:v1":          {"ex.test/a/b/c:v1", "ex.test/a/b/c:v1", "ex.test/a/b/c"},
		"alpine" + someDigest:       {"docker.io/library/alpine" + someDigest, "alpine" + someDigest, "docker.io/library/alpine"},
		"h:1/alpine:3" + someDigest: {"h:1/alpine" + someDigest, "h:1/alpine" + someDigest, "h:1/alpine"},
	} {
		got, err := parseName(in)
		if err != nil || got.String() != want.full || familiar(got.String()) != want.familiar || repository(got.String()) != want.repository {
			t.Errorf("%q is %v, %v", in, got, err)
		}
	}
	sha512 := "x@sha512:" + strings.Repeat("0", 128)
	for _, in := range []string{"", " ", "X", "a//b", "a:b:c", "-x", "x:", "x:" + strings.Repeat("t", 129), "x@sha256:00", "https://x", strings.Repeat("0", 64), sha512} {
		if got, err := parseName(in); err == nil {
			t.Errorf("%q is taken for %v", in, got)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	for domain, want := range map[string]bool{
		"localhost": true, "localhost:5000": true, "hub.localhost:80": true, "127.0.0.1": true, "127.1.2.3:5000": true, "[::1]": true, "[::1]:5000": true,
		"docker.io": false, "localhost.example.com": false, "notlocalhost": false, "128.0.0.1:5000": false, "[fe80::1]:5000": false, "0.0.0.0:5000": false, "127.0.0.1.example.com": false,
	} {
		if got := isLoopback(domain); got != want {
			t.Errorf("%s: %v", domain, got)
		}
	}
}

func TestChoose(t *testing.T) {
	platform := func(s string) *ocispec.Platform {
		parts := strings.Split(s+"//", "/")
		return &ocispec.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
	}
	for name, test := range map[string]struct {
		there []string // "" is without a platform
		ask   string
		want  int // -1: none
	}{
		"first that fits":      {[]string{"linux/amd64", "linux/amd64"}, "linux/amd64", 0},
		"plain for a variant":  {[]string{"linux/arm64"}, "linux/arm64/v9", 0},
		"the variant itself":   {[]string{"linux/arm64", "linux/arm64/v9"}, "linux/arm64/v9", 1},
		"variant for plain":    {[]string{"linux/amd64/v3"}, "linux/amd64", -1},
		"v8 is plain":          {[]string{"linux/arm64/v8"}, "linux/arm64", 0},
		"the highest arm":      {[]string{"linux/arm/v5", "linux/arm/v6"}, "linux/arm/v7", 1},
		"no higher arm":        {[]string{"linux/arm/v7"}, "linux/arm/v6", -1},
		"an unknown arm":       {[]string{"linux/arm/v5"}, "linux/arm/v9", -1},
		"attestations":         {[]string{"unknown/unknown", "linux/amd64"}, "linux/amd64", 1},
		"attestations only":    {[]string{"unknown/unknown", "unknown/unknown"}, "linux/amd64", -1},
		"one without platform": {[]string{""}, "linux/amd64", 0},
		"two without platform": {[]string{"", ""}, "linux/amd64", -1},
		"nothing":              {nil, "linux/amd64", -1},
		"other system":         {[]string{"windows/amd64"}, "linux/amd64", -1},
	} {
		var index ocispec.Index
		for i, s := range test.there {
			d := ocispec.Descriptor{Size: int64(i)}
			if s != "" {
				d.Platform = platform(s)
			}
			index.Manifests = append(index.Manifests, d)
		}
		ask, err := parsePlatform(test.ask)
		if err != nil {
			t.Fatal(err)
		}
		got, err := choose(index, []ocispec.Platform{ask})
		if (err != nil) != (test.want < 0) || err == nil && got.Size != int64(test.want) {
			t.Errorf("%s: %d, %v", name, got.Size, err)
		}
	}
}
