package login

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// entryName is the name of the desktop entry, in the user's directory and in
// the system's: the first that is found counts (XDG autostart specification).
const entryName = "dev.skerry.Skerry.desktop"

func entryPath(dir string) string { return filepath.Join(dir, "autostart", entryName) }

// entryOn tells whether a graphical session starts the app.
func (c config) entryOn() (bool, error) {
	for _, dir := range append([]string{c.user}, c.system...) {
		text, err := os.ReadFile(entryPath(dir))
		if err == nil {
			return !hidden(string(text)), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("read the autostart entry: %w", err)
		}
	}
	return false, nil
}

// hidden tells whether an entry says that it is to be taken for absent, as ours
// does and as desktops' own settings pages say it.
func hidden(text string) bool {
	inEntry := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			inEntry = line == "[Desktop Entry]"
		}
		key, value, _ := strings.Cut(line, "=")
		switch key, value = strings.TrimSpace(key), strings.TrimSpace(value); {
		case !inEntry:
		case key == "Hidden" && value == "true", key == "X-GNOME-Autostart-enabled" && value == "false":
			return true
		}
	}
	return false
}

func (c config) enableEntry(program string) error {
	if err := write(entryPath(c.user), entry(program)); err != nil {
		return fmt.Errorf("write the autostart entry: %w", err)
	}
	return nil
}

// disableEntry takes the user's entry away, or has it hide the system's: also one
// that is hidden itself, since an administrator may come to show it.
func (c config) disableEntry() error {
	err := remove(entryPath(c.user))
	if err == nil && slices.ContainsFunc(c.system, hasEntry) {
		err = write(entryPath(c.user), "[Desktop Entry]\nType=Application\nName=Skerry\nExec=skerry app\nHidden=true\n")
	}
	if err != nil {
		return fmt.Errorf("turn the autostart entry off: %w", err)
	}
	return nil
}

func hasEntry(dir string) bool {
	_, err := os.Lstat(entryPath(dir))
	return err == nil
}

func entry(program string) string {
	// A dollar sign is escaped, and so is the backslash that does it.
	exec := `"` + strings.ReplaceAll(program, `$`, `\\$`) + `"`
	return "[Desktop Entry]\n" +
		"Type=Application\n" +
		"Name=Skerry\n" +
		"Comment=Containers, each in its own virtual machine\n" +
		"Icon=dev.skerry.Skerry\n" +
		"TryExec=" + program + "\n" +
		"Exec=" + exec + " app\n" +
		"Terminal=false\n" +
		"NoDisplay=true\n" +
		"X-GNOME-Autostart-enabled=true\n"
}
