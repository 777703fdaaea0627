package tests

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/skerry-app/skerry/registry/registrytest"
)

// TestExamples brings each project that users are given to start from up, and
// looks at what it serves.
func TestExamples(t *testing.T) {
	a := startApp(t)
	t.Setenv("BUSYBOX_IMAGE", testImage)
	up := func(t *testing.T, name string) (file string) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), name) // tests write to it
		must(t, os.CopyFS(dir, os.DirFS("../app/examples/"+name)))
		a := a.with(t)
		file = filepath.Join(dir, "skerry.toml")
		t.Cleanup(func() { a.ok("skerry", "down", "-v", "-f", file) })
		a.ok("skerry", "up", "-f", file)
		return file
	}
	page := func(t *testing.T, url, want string) {
		t.Helper()
		a.with(t).eventually(url+" has "+want, func() error {
			text, err := fetch(url)
			if err == nil {
				err = has(text, want)
			}
			return err
		})
	}

	t.Run("site", func(t *testing.T) {
		file := up(t, "site")
		page(t, "http://localhost:8081/", "too small to live on")
		must(t, os.WriteFile(filepath.Join(filepath.Dir(file), "site", "index.html"), []byte("edited"), 0o644))
		page(t, "http://localhost:8081/", "edited")
	})
	t.Run("job", func(t *testing.T) {
		up(t, "job")
		page(t, "http://localhost:8083/report.txt", "53d025127ae99ab79e8502aae2d9bea6") // of the numbers to 1000
		if got := a.ok("skerry", "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "job-import"); got != "exited 0\n" {
			t.Errorf("the job is %q", got)
		}
	})
	t.Run("pod", func(t *testing.T) {
		up(t, "pod")
		page(t, "http://localhost:8084/", "Two in a boat")
		if n := len(a.machines()); n != 1 {
			t.Errorf("there are %d machines", n)
		}
	})
	t.Run("web", func(t *testing.T) {
		t.Setenv("POSTGRES_IMAGE", postgresImage(t))
		file := up(t, "web")
		page(t, "http://localhost:8082/", "visit 1")
		a.ok("skerry", "down", "-f", file)
		a.ok("skerry", "up", "-f", file)
		page(t, "http://localhost:8082/", "visit 2") // the volume has it
		if out := a.ok("skerry", "check", "-f", file); !strings.Contains(out, "no change") {
			t.Errorf("check: %q", out)
		}
	})
}

// postgresImage pushes an image of Debian's PostgreSQL that is used as the
// official one is.
func postgresImage(t *testing.T) string {
	t.Helper()
	file := os.Getenv("SKERRY_TEST_POSTGRES")
	if file == "" {
		t.Fatal("SKERRY_TEST_POSTGRES is not set: run make test")
	}
	packages, err := os.ReadFile(file)
	must(t, err)
	programs, merged := looksInto(t, packages)
	bin := "bin"
	if merged {
		bin = "usr/bin"
	}
	const entrypoint = `#!/bin/sh
set -e
[ "$1" = postgres ] || exec "$@"
export PGDATA=/var/lib/postgresql/data/pg
if [ ! -s $PGDATA/PG_VERSION ]; then
	echo "$POSTGRES_PASSWORD" > /tmp/password
	chown -R postgres /tmp/password /var/lib/postgresql
	setpriv --reuid=postgres --regid=postgres --clear-groups initdb --auth=scram-sha-256 --pwfile=/tmp/password --no-sync
	echo "host all all all scram-sha-256" >> $PGDATA/pg_hba.conf
fi
exec setpriv --reuid=postgres --regid=postgres --clear-groups postgres -c listen_addresses='*' -c unix_socket_directories=/tmp
`
	files := []registrytest.File{
		{Name: bin + "/sh", Type: tar.TypeSymlink, Link: "dash"},
		{Name: "etc/passwd", Body: []byte("root:x:0:0:root:/root:/bin/sh\npostgres:x:999:999::/var/lib/postgresql:/bin/sh\n")},
		{Name: "etc/group", Body: []byte("root:x:0:\npostgres:x:999:\n")},
		{Name: "run/"}, {Name: "tmp/", Mode: 0o1777}, {Name: "var/lib/postgresql/data/"}, {Name: "usr/local/bin/entrypoint", Body: []byte(entrypoint), Mode: 0o755},
	}
	for _, name := range []string{"initdb", "postgres", "psql", "pg_isready"} {
		files = append(files, registrytest.File{Name: "usr/local/bin/" + name, Type: tar.TypeSymlink, Link: path.Join("/", programs, name)})
	}
	image := registrytest.Image{Layers: []registrytest.Layer{{Tar: packages, Compression: registrytest.Plain}, {Files: files}}}
	image.Config.Config.Entrypoint = []string{"/usr/local/bin/entrypoint"}
	image.Config.Config.Cmd = []string{"postgres"}
	image.Config.Config.Env = []string{"PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"}
	server, err := registrytest.Serve(t.Context(), registrytest.Options{Dir: t.TempDir()}) // too large for one in memory
	must(t, err)
	if _, err := image.Push(t.Context(), server.Host, "skerry/postgres", "17"); err != nil {
		t.Fatal(err)
	}
	return server.Host + "/skerry/postgres:17"
}

var postgresProgram = regexp.MustCompile(`^\./(usr/lib/postgresql/[0-9]+/bin)/postgres$`)

// looksInto finds where the archive has PostgreSQL's programs, and whether /bin is
// /usr/bin in it.
func looksInto(t *testing.T, archive []byte) (programs string, merged bool) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		if match := postgresProgram.FindStringSubmatch(header.Name); match != nil {
			programs = match[1]
		}
		merged = merged || path.Clean(header.Name) == "bin" && header.Typeflag == tar.TypeSymlink
	}
	if programs == "" {
		t.Fatal(fmt.Errorf("%d bytes of packages have no PostgreSQL", len(archive)))
	}
	return programs, merged
}
