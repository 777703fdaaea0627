package registry

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// osLinux is the one operating system that containers here can have.
const osLinux = "linux"

// parsePlatform reads [OS/]ARCH[/VARIANT]; empty means linux on this machine's
// processor. The result is normalised.
func parsePlatform(s string) (ocispec.Platform, error) {
	if s == "" {
		return normalise(ocispec.Platform{OS: osLinux, Architecture: runtime.GOARCH}), nil
	}
	parts := strings.Split(strings.ToLower(s), "/")
	if slices.Contains(parts, "") || len(parts) > 3 {
		return ocispec.Platform{}, fmt.Errorf("%w: platform %q: write it as linux/ARCH[/VARIANT]", errdefs.ErrInvalidArgument, s)
	}
	if len(parts) == 1 {
		parts = []string{osLinux, parts[0]}
	}
	if parts[0] != osLinux {
		return ocispec.Platform{}, fmt.Errorf("%w: platform %q: only images for linux can run here", errdefs.ErrNotImplemented, s)
	}
	p := ocispec.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return normalise(p), nil
}

// parsePlatforms reads a platform and others.
func parsePlatforms(first string, others []string) ([]ocispec.Platform, error) {
	var list []ocispec.Platform
	for _, s := range append([]string{first}, others...) {
		p, err := parsePlatform(s)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// Fits tells whether an image for a platform is one for what was asked for,
// [OS/]ARCH[/VARIANT].
func Fits(asked string, p ocispec.Platform) (bool, error) {
	want, err := parsePlatform(asked)
	return err == nil && suits(want, normalise(p)) > 0, err
}

// normalise gives a platform the names that Go uses and drops the variant that
// its architecture implies, so that arm64/v8 equals arm64.
func normalise(p ocispec.Platform) ocispec.Platform {
	switch p.Architecture {
	case "x86_64", "x86-64":
		p.Architecture = "amd64"
	case "aarch64":
		p.Architecture = "arm64"
	case "i386", "i686":
		p.Architecture = "386"
	case "armhf":
		p.Architecture, p.Variant = "arm", "v7"
	case "armel":
		p.Architecture, p.Variant = "arm", "v6"
	}
	switch [2]string{p.Architecture, p.Variant} {
	case [2]string{"arm64", "v8"}, [2]string{"arm64", "8"}, [2]string{"amd64", "v1"}, [2]string{"arm", "v7"}, [2]string{"arm", "7"}:
		p.Variant = ""
	}
	return p
}

// platformString writes a platform as OS/ARCH[/VARIANT].
func platformString(p ocispec.Platform) string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// suits tells how well a machine of the platform want runs an image for have:
// 0 not at all, more is better. Both are normalised. A variant runs the plain
// images of its architecture, and an arm v7 those for v6 and v5.
func suits(want, have ocispec.Platform) int {
	if want.OS != have.OS || want.Architecture != have.Architecture {
		return 0
	}
	if want.Variant == have.Variant {
		return 3
	}
	if want.Architecture == "arm" {
		arm := []string{"v5", "v6", ""} // in rising order; plain is v7
		h, w := slices.Index(arm, have.Variant), slices.Index(arm, want.Variant)
		if h < 0 || w < h {
			return 0
		}
		return 1 + h
	}
	if have.Variant == "" {
		return 2
	}
	return 0
}

// choose picks the image for the first platform that the index has one for.
func choose(index ocispec.Index, wants []ocispec.Platform) (ocispec.Descriptor, error) {
	var there []string
	for _, d := range index.Manifests {
		if named(d) {
			there = append(there, platformString(normalise(*d.Platform)))
		}
	}
	if len(there) == 0 && len(index.Manifests) == 1 {
		return index.Manifests[0], nil // its configuration will tell
	}
	for _, want := range wants {
		var best ocispec.Descriptor
		var bestScore int
		for _, d := range index.Manifests {
			if !named(d) {
				continue
			}
			if score := suits(want, normalise(*d.Platform)); score > bestScore {
				best, bestScore = d, score
			}
		}
		if bestScore > 0 {
			return best, nil
		}
	}
	slices.Sort(there)
	return ocispec.Descriptor{}, noPlatform(wants[0], slices.Compact(there))
}

// named tells whether an index says what an image is for. BuildKit lists an
// image's attestations as images for unknown/unknown (buildkit,
// docs/attestations/attestation-storage.md).
func named(d ocispec.Descriptor) bool { return d.Platform != nil && d.Platform.OS != "unknown" }

func noPlatform(want ocispec.Platform, there []string) error {
	list := strings.Join(there, ", ")
	if list == "" {
		list = "none that is named"
	}
	return fmt.Errorf("%w: no image for %s; there is: %s: choose one of these with --platform, or another image",
		errdefs.ErrNotFound, platformString(want), list)
}
