package desktop

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Open opens a file or an address with the program that the user has for it.
func Open(target string) error { return launch(exec.Command("open", target)) }

// Edit opens a text file.
func Edit(path string) error { return launch(exec.Command("open", "-t", path)) }

// Copy puts text on the clipboard.
func Copy(text string) error { return copyWith(exec.Command("pbcopy"), text) }

// Terminal runs a command in a new terminal, with further variables of the
// environment. A file that terminals open needs, other than AppleScript, no
// leave of the user; it removes itself.
func Terminal(env, command []string) error {
	f, err := os.CreateTemp("", "skerry-*.command")
	if err != nil {
		return err
	}
	script := "#!/bin/sh\nrm -f -- \"$0\"\nexec env " + quote(env) + " " + quote(command) + "\n"
	_, err = f.WriteString(script)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o700)
	}
	if err == nil {
		err = launch(exec.Command("open", f.Name()))
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("open a terminal: %w", err)
	}
	return nil
}

// quote makes words for sh.
func quote(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}
