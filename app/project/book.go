package project

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/google/renameio/v2"
)

// entry is what is remembered of a project file beside its containers.
type entry struct {
	File string `json:"file"`
	// Env is what the file's variables stood for when it was last brought up: an
	// app that starts at login does not have the shell's.
	Env          map[string]string `json:"env,omitempty"`
	StartAtLogin *bool             `json:"startAtLogin,omitempty"` // nil: what the file says
	Stopped      bool              `json:"stopped,omitempty"`      // by hand, and not started since
}

// startsAtLogin tells whether the project is to come up with the app.
func (e entry) startsAtLogin(fileSays bool) bool {
	if e.StartAtLogin != nil {
		return *e.StartAtLogin
	}
	return fileSays
}

// book is the list of the project files that have been opened or brought up, on
// disk. Its methods may be called from any goroutine.
type book struct {
	path string

	mu      sync.Mutex
	entries map[string]entry // by file
}

// openBook reads the list. One that is damaged gives an error and an empty list:
// containers say themselves where they belong.
func openBook(path string) (*book, error) {
	b := &book{path: path, entries: map[string]entry{}}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return b, nil
	}
	var list []entry
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		return b, fmt.Errorf("read the list of projects: %w", err)
	}
	for _, e := range list {
		b.entries[e.File] = e
	}
	return b, nil
}

// get returns what is remembered of a file.
func (b *book) get(file string) (e entry, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, known = b.entries[file]
	e.File = file
	return e, known
}

// files are those remembered, sorted.
func (b *book) files() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.entries))
}

// change remembers something of a file.
func (b *book) change(file string, f func(*entry)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entries[file]
	e.File = file
	f(&e)
	b.entries[file] = e
	return b.save()
}

// forget takes a file off the list.
func (b *book) forget(file string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.entries[file]; !known {
		return nil
	}
	delete(b.entries, file)
	return b.save()
}

// save writes the list; mu is held. Variables may be secrets.
func (b *book) save() error {
	list := slices.SortedFunc(maps.Values(b.entries), func(a, b entry) int { return strings.Compare(a.File, b.File) })
	text, err := json.MarshalIndent(list, "", "\t")
	if err == nil {
		err = renameio.WriteFile(b.path, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the list of projects: %w", err)
	}
	return nil
}
