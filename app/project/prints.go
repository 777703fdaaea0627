package project

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/skerry-app/skerry/engine"
)

// printDigits is the length of a fingerprint: enough to notice a change.
const printDigits = 12

// apart are the fields that take no part in what a container is made from: one
// that can be changed while it runs, and one that is another at every login.
var apart = []string{"Restart", "SSHAgent"}

// fingerprints has one for each field of a spec that is not empty, so that a
// newer Skerry with more fields does not find every container changed.
func fingerprints(s engine.Spec) (map[string]string, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	prints := map[string]string{}
	for name, value := range fields {
		if isEmpty(name, value) || slices.Contains(apart, name) {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		prints[name] = hex.EncodeToString(sum[:])[:printDigits]
	}
	return prints, nil
}

// isEmpty tells fields that nobody has set. An empty command is not the same as
// none: it clears the image's.
func isEmpty(name string, value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0 && name != "Entrypoint" && name != "Command"
	case map[string]any:
		return len(v) == 0
	}
	return value == "" || value == 0.0 || value == false
}

// formatPrints writes fingerprints for a label: "Command=0123456789ab Image=...".
func formatPrints(prints map[string]string) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(prints)) {
		words = append(words, name+"="+prints[name])
	}
	return strings.Join(words, " ")
}

func parsePrints(text string) map[string]string {
	prints := map[string]string{}
	for word := range strings.FieldsSeq(text) {
		name, print, _ := strings.Cut(word, "=")
		prints[name] = print
	}
	return prints
}

// differences are the keys of the project file whose fingerprints are not the
// same, sorted.
func differences(a, b map[string]string) []string {
	var keys []string
	all := maps.Clone(a)
	maps.Copy(all, b)
	for name := range all {
		if a[name] != b[name] {
			keys = append(keys, keyOf(name))
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// keys are those of the project file for fields of a spec whose names say
// something else.
var keys = map[string]string{
	"Env": "environment", "TTY": "tty", "CPUs": "cpus", "DNS": "dns", "DiskSize": "disk", "Mounts": "volumes", "Health": "healthcheck",
	"StopTimeout": "stop_grace_period", "SSHAgent": "ssh", "Name": "name", "Aliases": "name",
}

// keyOf is the key of the project file for a field of a spec.
func keyOf(field string) string {
	if key, ok := keys[field]; ok {
		return key
	}
	var key strings.Builder
	for i, c := range field {
		if unicode.IsUpper(c) && i > 0 {
			key.WriteByte('_')
		}
		key.WriteRune(unicode.ToLower(c))
	}
	return key.String()
}
