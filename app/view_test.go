package main

import (
	"net/netip"
	"testing"

	"github.com/skerry-app/skerry/app/label"
	"github.com/skerry-app/skerry/engine"
)

func TestImageName(t *testing.T) {
	for text, is := range map[string]bool{
		"postgres:17": true, " ex.test/acme/shop:1.4\n": true, "acme/shop": true,
		"postgres": false, "https://ex.test/a": false, "Hello: world": false, "a b": false, "": false, "12:30:45 and more": false,
	} {
		if got := imageName(text) != ""; got != is {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestWebAddress(t *testing.T) {
	port := func(inside, outside uint16, host string) engine.Port {
		p := engine.Port{HostPort: outside, Container: inside, Protocol: "tcp"}
		if host != "" {
			p.HostIP = netip.MustParseAddr(host)
		}
		return p
	}
	for _, test := range []struct {
		bindings []engine.Port
		web      string
		want     string
	}{
		{nil, "", ""},
		{[]engine.Port{port(5432, 5432, ""), port(80, 8080, "127.0.0.1")}, "", "http://localhost:8080"},
		{[]engine.Port{port(9999, 1, ""), port(3000, 2, "")}, "9999", "http://localhost:1"},
		{[]engine.Port{port(9999, 1, "192.0.2.1")}, "", "http://192.0.2.1:1"},
		{[]engine.Port{port(80, 1, "0.0.0.0")}, "81", ""},
	} {
		s := engine.Snapshot{Bindings: test.bindings}
		if test.web != "" {
			s.Spec.Labels = map[string]string{label.WebPort: test.web}
		}
		if got := webAddress(s); got != test.want {
			t.Errorf("%+v: %q, want %q", test, got, test.want)
		}
	}
}
