package skerryfile

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what comes out into the golden files")

// lookup is the environment of all tests.
func lookup(name string) (string, bool) {
	value, ok := map[string]string{"SET": "value", "EMPTY": ""}[name]
	return value, ok
}

// wanted begins the lines, at the end of a bad file, that say what is wrong
// with it.
const wanted = "#! "

// TestBadFiles reads files that are wrong. What is said of them stands in the
// files themselves.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d bad files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			body, want := split(string(text))
			_, err = Load(file, Options{Lookup: lookup, Version: "0.3.1"})
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v, want problems", err)
			}
			var got []string
			for _, p := range problems {
				if p.File != absolute(t, file) {
					t.Errorf("a problem is in file %s", p.File)
				}
				got = append(got, fmt.Sprintf("%d:%d: %s", p.Line, p.Column, p.Message))
			}
			if *update {
				body += wanted + strings.Join(got, "\n"+wanted) + "\n"
				if err := os.WriteFile(file, []byte(body), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func split(text string) (body string, want []string) {
	for _, line := range strings.SplitAfter(text, "\n") {
		if message, ok := strings.CutPrefix(line, wanted); ok {
			want = append(want, strings.TrimSuffix(message, "\n"))
			continue
		}
		body += line
	}
	return body, want
}

func absolute(t *testing.T, file string) string {
	t.Helper()
	path, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
