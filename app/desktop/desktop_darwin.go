package desktop

import (
	"context"
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

// Paste returns the clipboard's text, or nothing.
func Paste(ctx context.Context) string { return paste(ctx, "pbpaste") }

// ShowFolder shows a file among its neighbours.
func ShowFolder(path string) error { return launch(exec.Command("open", "-R", path)) }

// Ask asks the user for a line of text.
func Ask(ctx context.Context, title, question string) (string, error) {
	return answer(script(ctx, `text returned of (display dialog (item 2 of argv) with title (item 1 of argv) default answer "")`, title, question))
}

// PickFile asks the user for a file.
func PickFile(ctx context.Context, title string) (string, error) {
	return answer(script(ctx, `POSIX path of (choose file with prompt (item 1 of argv))`, title))
}

// Notify shows a message beside the user's work.
func Notify(ctx context.Context, title, text string) error {
	if err := script(ctx, `display notification (item 2 of argv) with title (item 1 of argv)`, title, text).Run(); err != nil {
		return fmt.Errorf("show a notification: %w", err)
	}
	return nil
}

// script runs a line of AppleScript. Texts are its arguments and no part of it.
func script(ctx context.Context, line string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "osascript", append([]string{"-e", "on run argv", "-e", line, "-e", "end run"}, args...)...)
}

// Terminal runs a command in a new terminal, with further variables of the
// environment. A file that terminals open needs, other than AppleScript, no
// leave of the user; it removes itself. Which terminal that is, the Finder knows.
func Terminal(_, env, command []string) error {
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
