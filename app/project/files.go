package project

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/skerry-app/skerry/app/project/skerryfile"
)

// quiet is how long a file has to be left alone before it is read again: editors
// write in several steps.
const quiet = 200 * time.Millisecond

// files are project files as they are now, read when they change.
type files struct {
	load func(file string) (*skerryfile.Project, error)

	mu      sync.Mutex
	known   map[string]reading // by file
	watcher *fsnotify.Watcher  // nil: nobody watches
}

// reading is what a file was when it was last read.
type reading struct {
	project *skerryfile.Project
	err     error
}

func newFiles(load func(string) (*skerryfile.Project, error)) *files {
	return &files{load: load, known: map[string]reading{}}
}

// get returns what a file says, which is read the first time.
func (f *files) get(file string) (*skerryfile.Project, error) {
	f.mu.Lock()
	r, ok := f.known[file]
	f.mu.Unlock()
	if !ok {
		return f.read(file)
	}
	return r.project, r.err
}

// read reads a file anew.
func (f *files) read(file string) (*skerryfile.Project, error) {
	project, err := f.load(file)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known[file] = reading{project, err}
	if f.watcher != nil {
		_ = f.watcher.Add(filepath.Dir(file)) // a directory that is gone has nothing to tell
	}
	return project, err
}

// drop forgets a file.
func (f *files) drop(file string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.known, file)
	if f.watcher == nil {
		return
	}
	dir := filepath.Dir(file)
	for other := range f.known {
		if filepath.Dir(other) == dir {
			return
		}
	}
	_ = f.watcher.Remove(dir) // it was not watched
}

// in returns the files whose projects a file of that path belongs to.
func (f *files) in(path string) (found []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for file, r := range f.known {
		switch {
		case file == path:
		case filepath.Dir(file) == filepath.Dir(path) && slices.Contains(skerryfile.Beside, filepath.Base(path)):
		case r.project != nil && slices.Contains(r.project.EnvFiles, path):
		default:
			continue
		}
		found = append(found, file)
	}
	return found
}

// watch reads files when they change, until ctx ends, and calls changed after
// each. Directories are watched and not files, because editors put new files in
// place of old ones.
func (f *files) watch(ctx context.Context, log *slog.Logger, changed func(file string)) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("changes of project files are not noticed", "error", err)
		return
	}
	defer watcher.Close()
	f.mu.Lock()
	f.watcher = watcher
	for file := range f.known {
		if err := watcher.Add(filepath.Dir(file)); err != nil {
			log.Debug("watch a project file", "file", file, "error", err)
		}
	}
	f.mu.Unlock()
	due := map[string]bool{}
	rest := time.NewTimer(0)
	<-rest.C
	defer rest.Stop()
	for {
		select {
		case <-ctx.Done():
			f.mu.Lock()
			f.watcher = nil
			f.mu.Unlock()
			return
		case event := <-watcher.Events:
			for _, file := range f.in(event.Name) {
				due[file] = true
				rest.Reset(quiet)
			}
		case err := <-watcher.Errors:
			if errors.Is(err, fsnotify.ErrEventOverflow) { // anything may have changed
				for _, file := range f.all() {
					due[file] = true
				}
				rest.Reset(quiet)
				continue
			}
			log.Warn("watch project files", "error", err)
		case <-rest.C:
			for file := range due {
				f.read(file)
				changed(file)
			}
			clear(due)
		}
	}
}

func (f *files) all() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for file := range f.known {
		all = append(all, file)
	}
	return all
}
