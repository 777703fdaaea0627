package skerryfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

const tricky = `# comment with [brackets] and = signs
a = 1 # x
"quoted \" key" = 'literal \'
a2.b2 . "c.d" = """
[not.a.table]
x = """"
dates = [ 1979-05-27 07:32:00, 07:32:00 ]
nested = [ [ 1, 2 ], # comment ]
  [ "a]", '''b]''' ], { k = [ { z = "}" } ] }, ]
[table . "with.dots"]
inline = { x = 1, y.z = "#", w = { } }
[[many.of]]
v = 1
[many.of.inner]
w = 2
[[many.of]]
v = '''
'quotes' ''' # end
`

// TestScan compares the scanner with the library: every value that the library
// finds has a place, and the text at its place is the value.
func TestScan(t *testing.T) {
	documents := map[string]string{"tricky": tricky}
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		documents[file] = string(text)
	}
	for name, text := range documents {
		var document map[string]any
		if _, err := toml.Decode(text, &document); err != nil {
			if name == "tricky" {
				t.Fatal(err)
			}
			continue
		}
		places := scan(text)
		each("", document, func(p keyPath, value any) {
			place, ok := places[p]
			if !ok {
				t.Errorf("%s: %q has no place", name, p)
				return
			}
			checkValue(t, name, p, text[place.value:], value)
		})
	}
}

// each visits all values below a table.
func each(p keyPath, value any, visit func(keyPath, any)) {
	if p != "" {
		visit(p, value)
	}
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			each(p.child(key), child, visit)
		}
	case []any:
		for i, child := range v {
			each(p.element(i), child, visit)
		}
	case []map[string]any:
		for i, child := range v {
			each(p.element(i), child, visit)
		}
	}
}

// checkValue decodes the value that text begins with.
func checkValue(t *testing.T, name string, p keyPath, text string, value any) {
	t.Helper()
	switch value.(type) {
	case map[string]any, []any, []map[string]any:
		return // may be spread over the document
	}
	for end := 1; end <= min(len(text), 80); end++ {
		var document map[string]any
		if _, err := toml.Decode("x = "+text[:end], &document); err == nil && fmt.Sprint(document["x"]) == fmt.Sprint(value) {
			return
		}
	}
	t.Errorf("%s: %q: %v is not at %.20q", name, p, value, text)
}

// FuzzScan looks for documents on which the scanner panics or never ends.
func FuzzScan(f *testing.F) {
	f.Add(tricky)
	for _, seed := range []string{"[", "[[", "a", "a=", "a=[", "a={", "a={b", `a="\`, `a="""x""`, "=", "\"", "[a]\n=]=", strings.Repeat("[", 50)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		src := &source{path: "x", text: text}
		for _, place := range scan(text) {
			position{src, place.key}.lineColumn()
			_ = position{src, place.value}.lineText()
		}
	})
}

func TestEditDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"enviroment", "environment", 1},
		{"ports", "prots", 1}, {"kitten", "sitting", 3}, {"größe", "grösse", 2},
	} {
		if got := editDistance(test.a, test.b); got != test.want {
			t.Errorf("%q, %q: got %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

// TestSchema keeps the tables honest: every key has its words, and suggestions
// point at keys that exist.
func TestSchema(t *testing.T) {
	known := map[string]bool{}
	for _, k := range topKeys {
		known[k.name] = true
		if k.doc == "" || (k.read == nil) == (k.later == "") {
			t.Errorf("top key %s: %+v", k.name, k)
		}
	}
	for _, k := range containerKeys {
		if known[k.name] && k.read != nil && k.name != "volumes" { // a table above, a list below
			t.Errorf("%s is a key of the top and of containers: a misplaced line could not be told", k.name)
		}
		if (k.shape == nil) != (k.read == nil) {
			t.Errorf("container key %s: its shape is %v", k.name, k.shape)
		}
		known[k.name] = true
		if k.doc == "" || (k.read == nil) == (k.later == "") || (k.read != nil && (k.typ == "" || k.def == "")) {
			t.Errorf("container key %s: %+v", k.name, k)
		}
	}
	for word, meant := range synonyms {
		if !known[meant] || known[word] {
			t.Errorf("synonym %s -> %s", word, meant)
		}
	}
	for name := range absentKeys {
		if known[name] {
			t.Errorf("%s is said to be absent", name)
		}
	}
}
