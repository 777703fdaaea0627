package api

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// filters are the query parameter of that name: for each key the values of
// which one must match.
type filters map[string][]string

// parseFilters reads {"key": {"value": true}} or, from older clients,
// {"key": ["value"]}. A key that is not among known is an error: to ignore it
// would show, or prune, what was not meant.
func parseFilters(r *http.Request, known ...string) (filters, error) {
	text := r.URL.Query().Get("filters")
	if text == "" {
		return nil, nil
	}
	f := filters{}
	var sets map[string]map[string]bool
	if err := json.Unmarshal([]byte(text), &sets); err == nil {
		for key, values := range sets {
			for v, on := range values {
				if on {
					f[key] = append(f[key], v)
				}
			}
			slices.Sort(f[key])
		}
	} else if json.Unmarshal([]byte(text), (*map[string][]string)(&f)) != nil {
		return nil, invalid("invalid filter %q", text)
	}
	for key := range f {
		if !slices.Contains(known, key) {
			return nil, invalid("invalid filter '%s'", key)
		}
	}
	return f, nil
}

// exact tells whether a value is asked for, or none.
func (f filters) exact(key string, values ...string) bool {
	return len(f[key]) == 0 || slices.ContainsFunc(f[key], func(want string) bool { return slices.Contains(values, want) })
}

// matches tells whether a value is matched by one of the filter's regular
// expressions, or there is none. What is not an expression is taken as it is.
func (f filters) matches(key string, values ...string) bool {
	return len(f[key]) == 0 || slices.ContainsFunc(f[key], func(want string) bool {
		re, err := regexp.Compile(want)
		if err != nil {
			return slices.Contains(values, want)
		}
		return slices.ContainsFunc(values, re.MatchString)
	})
}

// prefixed tells whether a value begins with one that is asked for, or none is.
func (f filters) prefixed(key string, values ...string) bool {
	return len(f[key]) == 0 || slices.ContainsFunc(f[key], func(want string) bool {
		return slices.ContainsFunc(values, func(v string) bool { return strings.HasPrefix(v, want) })
	})
}

// labels tells whether all that is asked for, "key" or "key=value", is there.
func (f filters) labels(key string, labels map[string]string) bool {
	for _, want := range f[key] {
		name, value, valued := strings.Cut(want, "=")
		have, ok := labels[name]
		if !ok || valued && have != value {
			return false
		}
	}
	return true
}
