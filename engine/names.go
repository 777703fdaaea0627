package engine

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"regexp"

	"github.com/containerd/errdefs"
)

// shortID is how many digits of an ID are shown to people.
const shortID = 12

// newID returns 64 random hexadecimal digits.
func newID() string {
	var b [32]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

var validName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`)

func checkName(name string) error {
	if !validName.MatchString(name) {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(
			"container name %q: use letters, digits, '_', '.' and '-', beginning with a letter or digit, at most 128", name))
	}
	return nil
}

var (
	adjectives = []string{"bright", "calm", "clear", "cold", "deep", "early", "far", "foggy", "grey", "high", "late", "little",
		"lonely", "low", "mossy", "narrow", "northern", "old", "quiet", "rocky", "salty", "silver", "small", "steep", "still",
		"stormy", "tidal", "western", "white", "wild", "windy", "young"}
	islands = []string{"barra", "burra", "canna", "coll", "eigg", "eynhallow", "fair", "fetlar", "flodday", "foula", "gigha",
		"hirta", "hoy", "iona", "islay", "jura", "lunga", "mingulay", "muck", "noss", "oronsay", "pabbay", "rona", "rum",
		"sanday", "scarba", "skye", "staffa", "stroma", "taransay", "ulva", "unst"}
)

// madeUpName returns a name that free does not refuse.
func madeUpName(free func(string) bool) string {
	for i := 0; ; i++ {
		name := adjectives[mathrand.IntN(len(adjectives))] + "_" + islands[mathrand.IntN(len(islands))]
		if i > 8 {
			name = fmt.Sprintf("%s%d", name, mathrand.IntN(10*i))
		}
		if free(name) {
			return name
		}
	}
}
