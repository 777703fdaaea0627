package login

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// config holds the directories of the XDG base directory specification that
// login items are in.
type config struct {
	user   string   // $XDG_CONFIG_HOME
	system []string // $XDG_CONFIG_DIRS, the most important first
}

func findConfig() (config, error) {
	c := config{user: os.Getenv("XDG_CONFIG_HOME")}
	// The specification says that a relative path is to be ignored.
	if !filepath.IsAbs(c.user) {
		home, err := os.UserHomeDir()
		if err != nil {
			return config{}, fmt.Errorf("find the directory of login items: %w, and XDG_CONFIG_HOME is no absolute path: set one of them", err)
		}
		c.user = filepath.Join(home, ".config")
	}
	for _, dir := range filepath.SplitList(os.Getenv("XDG_CONFIG_DIRS")) {
		if filepath.IsAbs(dir) {
			c.system = append(c.system, dir)
		}
	}
	if c.system == nil {
		c.system = []string{"/etc/xdg"}
	}
	return c, nil
}

// write replaces a file as a whole: a session that starts meanwhile reads the
// old text or the new.
func write(path, text string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".skerry-")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// remove takes a file away that need not be there.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
