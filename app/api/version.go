package api

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Versions of the Engine API that are served.
const (
	minVersion = "1.44"
	maxVersion = "1.56"
)

var versionPrefix = regexp.MustCompile(`^/v(\d{1,4}\.\d{1,4})(/.*)$`)

// negotiate takes the version prefix from a request's path; versions that are
// not served are an error, in Docker's words. All that are get the same
// answers, which have what older clients look for as well.
func negotiate(r *http.Request) (*http.Request, error) {
	m := versionPrefix.FindStringSubmatch(r.URL.Path)
	if m == nil {
		return r, nil
	}
	v := m[1]
	switch {
	case versionLess(v, minVersion):
		return r, invalid("client version %s is too old. Minimum supported API version is %s, please upgrade your client to a newer version", v, minVersion)
	case versionLess(maxVersion, v):
		return r, invalid("client version %s is too new. Maximum supported API version is %s", v, maxVersion)
	}
	u := *r.URL
	u.Path = m[2]
	u.RawPath = strings.TrimPrefix(u.RawPath, "/v"+v)
	r = r.WithContext(r.Context()) // a copy
	r.URL = &u
	return r, nil
}

// versionLess compares "major.minor" versions; both have been checked.
func versionLess(a, b string) bool {
	var n [2]int
	for i, v := range []string{a, b} {
		major, minor, _ := strings.Cut(v, ".")
		x, _ := strconv.Atoi(major)
		y, _ := strconv.Atoi(minor)
		n[i] = x*10000 + y
	}
	return n[0] < n[1]
}

// setVersionHeaders tells a client what it talks to, with every answer.
func (s *Server) setVersionHeaders(h http.Header) {
	h.Set("Api-Version", maxVersion)
	h.Set("Ostype", "linux") // of the containers, wherever the app runs
	h.Set("Docker-Experimental", "false")
	h.Set("Server", fmt.Sprintf("Skerry/%s (linux)", s.options.Version))
}
