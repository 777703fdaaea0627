package nbd

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]struct {
		address Address
		url     string
	}{
		"nbd://host":                              {Address{Host: "host", Port: 10809}, "nbd://host:10809/"},
		"nbd://Host/":                             {Address{Host: "Host", Port: 10809}, "nbd://host:10809/"},
		"nbd://host:1/data":                       {Address{Host: "host", Port: 1, Export: "data"}, "nbd://host:1/data"},
		"NBD://127.0.0.1:65535/a/b":               {Address{Host: "127.0.0.1", Port: 65535, Export: "a/b"}, "nbd://127.0.0.1:65535/a/b"},
		"nbd://[::1]/x":                           {Address{Host: "::1", Port: 10809, Export: "x"}, "nbd://[::1]:10809/x"},
		"nbd://host//x":                           {Address{Host: "host", Port: 10809, Export: "/x"}, "nbd://host:10809//x"},
		`nbd://host/%22%7D,%5c%20%C3%A9`:          {Address{Host: "host", Port: 10809, Export: `"},\ é`}, "nbd://host:10809/%22%7D,%5C%20%C3%A9"},
		"nbds://host/x":                           {Address{TLS: true, Host: "host", Port: 10809, Export: "x"}, "nbds://host:10809/x"},
		"nbd+unix:///?socket=/run/s":              {Address{Socket: "/run/s"}, "nbd+unix:///?socket=/run/s"},
		"nbd+unix:///x?socket=%2Frun%2Fa%20b%26c": {Address{Socket: "/run/a b&c", Export: "x"}, "nbd+unix:///x?socket=/run/a+b%26c"},
		"nbds+unix:///x?socket=/run/s":            {Address{TLS: true, Socket: "/run/s", Export: "x"}, "nbds+unix:///x?socket=/run/s"},
		"nbd+unix:///x?socket=/run//./s":          {Address{Socket: "/run//./s", Export: "x"}, "nbd+unix:///x?socket=/run/s"},
	} {
		got, err := Parse(text)
		if err != nil || got != want.address || got.String() != want.url {
			t.Errorf("%s: %+v, %v, %s; want %+v, %s", text, got, err, got, want.address, want.url)
		}
		// Its own form means the same.
		again, err := Parse(got.String())
		if err != nil || again.String() != got.String() {
			t.Errorf("%s: read again %+v, %v", got, again, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, says := range map[string]string{
		"":                                   "scheme",
		"host:10809":                         "no //",
		"http://host/x":                      `scheme "http"`,
		"nbd:host":                           "no //",
		"nbd:///x":                           "no host",
		"nbd://:10809/x":                     "no host",
		"nbd://user:secret@host/x":           "user",
		"nbd://host:0/x":                     "port",
		"nbd://host:65536/x":                 "port",
		"nbd://host:x/x":                     "cannot be read",
		"nbd://-host/x":                      `host "-host"`,
		"nbd://a,b=c/x":                      `host "a,b=c"`,
		"nbd://[fe80::1%25eth0]/x":           "zone",
		"nbd://host/x#y":                     "#",
		"nbd://host/x?socket=/run/s":         "nbd+unix",
		"nbd://host/x?tls-certificates=/etc": "tls-certificates",
		"nbd://host/%00":                     "not text",
		"nbd://host/%ff":                     "not text",
		"nbd://host/a\nb":                    "cannot be read",
		"nbd://host/" + strings.Repeat("x", 4097): "4097 bytes",
		"nbd+unix:///x":                                     "no socket",
		"nbd+unix:///x?socket=":                             "no socket",
		"nbd+unix:///x?socket=run/s":                        "absolute",
		"nbd+unix:///x?socket=/a&socket=/b":                 "socket",
		"nbd+unix:///x?socket=/%00":                         "not text",
		"nbd+unix://host/x?socket=/s":                       "three slashes",
		"nbd+unix:///x?socket=/" + strings.Repeat("x", 200): "201 bytes",
	} {
		_, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q in it", text, err, says)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error tells the password: %v", text, err)
		}
	}
}

// FuzzParse wants that what is taken means the same in its own form.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"nbd://host:1/a%2Fb", "nbd+unix:///x?socket=/run/s", "nbds://[::1]/", "nbd://h//?#"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(n.String())
		if err != nil || again.String() != n.String() || again.Export != n.Export || again.TLS != n.TLS || again.Port != n.Port {
			t.Errorf("%q is %+v; %q is %+v, %v", text, n, n, again, err)
		}
	})
}
