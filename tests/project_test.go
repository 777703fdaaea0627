package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestProject brings a project of two containers up, changes it and takes it
// down.
func TestProject(t *testing.T) {
	a := startApp(t)
	file := filepath.Join(t.TempDir(), "skerry.toml")
	write := func(page string) {
		t.Helper()
		text := `name = "shop"

[containers.web]
image = "` + testImage + `"
command = ["sh", "-c", "mkdir /www && echo ` + page + ` > /www/index.html && exec httpd -f -p 80 -h /www"]

[containers.client]
image = "` + testImage + `"
depends_on = ["web"]
command = ["sh", "-c", "until wget -q -O - http://web/; do sleep 0.1; done; exec sleep 1000"]
`
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ids := func() string {
		return a.ok("skerry", "ps", "-q", "--no-trunc", "--filter", "label=dev.skerry.project=shop")
	}

	write("first")
	a.ok("skerry", "up", "-f", file) // pulls
	a.eventually("the client has the page", func() error { return has(a.ok("skerry", "logs", "shop-client"), "first\n") })
	before := ids()
	if n := strings.Count(before, "\n"); n != 2 {
		t.Fatalf("%d containers run", n)
	}
	a.ok("skerry", "up", "-f", file)
	if after := ids(); after != before {
		t.Errorf("a second up without a change has made %q of %q", after, before)
	}
	write("second")
	a.ok("skerry", "up", "-f", file)
	changed := 0
	for id := range strings.Lines(ids()) {
		if !strings.Contains(before, id) {
			changed++
		}
	}
	if changed != 1 {
		t.Errorf("%d containers are new after a change of one", changed)
	}
	// Containers outside the project are on another network.
	address := strings.TrimSpace(a.ok("skerry", "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "shop-web"))
	for _, host := range []string{address, "web"} {
		if r := a.do(nil, "skerry", "run", "--rm", testImage, "sh", "-c", "timeout 5 wget -q -O - http://"+host+"/"); r.code == 0 {
			t.Errorf("a container outside the project fetched %q from %s", r.stdout, host)
		}
	}
	a.ok("skerry", "down", "-f", file)
	if ps := a.ok("skerry", "ps", "-aq"); ps != "" {
		t.Errorf("after down there is %q", ps)
	}
}
