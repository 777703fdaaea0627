package registry

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/BurntSushi/toml"
	"github.com/distribution/reference"
)

// mirrorsFile is where containers/image is told of mirrors, in the format of
// containers-registries.conf(5).
const mirrorsFile = "registries.conf"

// registriesConf is the part of that format that mirrors need.
type registriesConf struct {
	Registry []registryConf `toml:"registry"`
}

type registryConf struct {
	Location string       `toml:"location"`
	Mirror   []mirrorConf `toml:"mirror"`
}

type mirrorConf struct {
	Location string `toml:"location"`
	Insecure bool   `toml:"insecure"`
}

// useMirrors has pulls ask the mirrors of a registry before itself. Keys and
// values are host[:port][/path].
func (s *Store) useMirrors(mirrors map[string][]string) error {
	if len(mirrors) == 0 {
		return nil
	}
	var conf registriesConf
	for _, location := range slices.Sorted(maps.Keys(mirrors)) {
		r := registryConf{Location: location}
		for _, mirror := range mirrors[location] {
			named, err := reference.ParseNormalizedNamed(mirror + "/image")
			if err != nil || mirror == "" {
				return fmt.Errorf("mirror %q of %s: use host[:port][/path]", mirror, location)
			}
			r.Mirror = append(r.Mirror, mirrorConf{mirror, isLoopback(reference.Domain(named))})
		}
		conf.Registry = append(conf.Registry, r)
	}
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).Encode(conf); err != nil {
		return err
	}
	s.mirrors = filepath.Join(s.dir, mirrorsFile)
	return os.WriteFile(s.mirrors, text.Bytes(), 0o600)
}
