package skerryfile

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestReference keeps the page up to date; -update writes it.
func TestReference(t *testing.T) {
	const file = "../../docs/skerry.toml.md"
	var want strings.Builder
	if err := Reference(&want); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("%s is out of date: run go test ./app/project/skerryfile -update\n%s", file, diff)
	}
}

// TestJSONSchema has an editor's judge look at files: it takes all that Load
// takes, and finds some mistakes by itself.
func TestJSONSchema(t *testing.T) {
	text, err := json.Marshal(JSONSchema())
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("skerry.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("skerry.json")
	if err != nil {
		t.Fatal(err)
	}
	good, err := filepath.Glob("../../examples/*/" + Name)
	if err != nil || len(good) == 0 {
		t.Fatalf("%d examples, %v", len(good), err)
	}
	for _, file := range append(good, "testdata/good/every-key.toml") {
		if err := schema.Validate(asJSON(t, file)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if _, err := Load(file, Options{Lookup: lookup}); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	for _, name := range []string{"unknown-keys", "boolean", "pull-policy", "name-type", "environment-list", "web-port", "memory", "volumes-scalar", "restart"} {
		if schema.Validate(asJSON(t, "testdata/bad/"+name+".toml")) == nil {
			t.Errorf("%s passes", name)
		}
	}
}

// asJSON is a file as editors hand it to their judge.
func asJSON(t *testing.T, file string) any {
	t.Helper()
	var document map[string]any
	if _, err := toml.DecodeFile(file, &document); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return value
}
