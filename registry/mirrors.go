package registry

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/distribution/reference"
)

// mirrorsFile is where containers/image is told of mirrors, in the format of
// containers-registries.conf(5).
const mirrorsFile = "registries.conf"

// useMirrors has pulls ask the mirrors of a registry before itself. Keys and
// values are host[:port][/path].
func (s *Store) useMirrors(mirrors map[string][]string) error {
	if len(mirrors) == 0 {
		return nil
	}
	var text bytes.Buffer
	for _, location := range slices.Sorted(maps.Keys(mirrors)) {
		if _, err := locationDomain(location); err != nil {
			return fmt.Errorf("mirrors of registry %w", err)
		}
		fmt.Fprintf(&text, "[[registry]]\nlocation = %q\n", location)
		for _, mirror := range mirrors[location] {
			domain, err := locationDomain(mirror)
			if err != nil {
				return fmt.Errorf("mirror of %s: %w", location, err)
			}
			fmt.Fprintf(&text, "[[registry.mirror]]\nlocation = %q\ninsecure = %t\n", mirror, isLoopback(domain))
		}
	}
	s.mirrors = filepath.Join(s.dir, mirrorsFile)
	return os.WriteFile(s.mirrors, text.Bytes(), 0o600)
}

// locationDomain is the host[:port] of a location. What passes has no character
// that a quoted string cannot have.
func locationDomain(location string) (string, error) {
	named, err := reference.ParseNormalizedNamed(location + "/image")
	if err != nil || location == "" {
		return "", fmt.Errorf("%q: use host[:port][/path]", location)
	}
	return reference.Domain(named), nil
}
