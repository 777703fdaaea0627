package login

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
)

// Get reads the state.
func Get() (State, error) {
	dirs, err := findConfig()
	if err != nil {
		return "", err
	}
	for _, is := range []func() (bool, error){dirs.entryOn, dirs.unitOn} {
		if on, err := is(); err != nil {
			return "", err
		} else if on {
			return On, nil
		}
	}
	return Off, nil
}

// Enable has the app start at login from now on, in one way: a second app would
// find the state taken by the first.
func Enable(o Options) error {
	if err := check(o.Program); err != nil {
		return err
	}
	dirs, err := findConfig()
	if err != nil {
		return err
	}
	if o.Headless {
		return errors.Join(dirs.disableEntry(), dirs.enableUnit(o.Program))
	}
	return errors.Join(dirs.disableUnit(), dirs.enableEntry(o.Program))
}

// Disable has the app no longer start at login.
func Disable() error {
	dirs, err := findConfig()
	if err != nil {
		return err
	}
	return errors.Join(dirs.disableEntry(), dirs.disableUnit())
}

// OpenSettings shows the user where login items are allowed; on Linux they need
// no leave.
func OpenSettings() error {
	return errors.New("starting at login needs nobody's leave on Linux: there is no settings page for it")
}

// check refuses paths that systemd does not start. It reads autostart entries as
// well as units, and leaves % doubled there, as the specification wants it.
func check(program string) error {
	odd := func(r rune) bool { return strings.ContainsRune("\"'`\\%", r) || unicode.IsControl(r) }
	if !filepath.IsAbs(program) || strings.ContainsFunc(program, odd) {
		return fmt.Errorf("systemd does not start a program with the path %q: install it at an absolute path without quotation marks, backslashes and percent signs", program)
	}
	return nil
}
