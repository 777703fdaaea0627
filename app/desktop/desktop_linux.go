package desktop

import (
	"context"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"
	"github.com/google/shlex"
)

// Open opens a file or an address with the program that the user has for it.
func Open(target string) error { return launch(exec.Command("xdg-open", target)) }

// Edit opens a text file.
func Edit(path string) error { return Open(path) }

// Copy puts text on the clipboard.
func Copy(text string) error {
	commands := [][]string{{"xclip", "-selection", "clipboard"}, {"xsel", "--clipboard", "--input"}}
	if os.Getenv("WAYLAND_DISPLAY") != "" {
		commands = append([][]string{{"wl-copy"}}, commands...)
	}
	cmd, err := first(commands...)
	if err != nil {
		return err
	}
	return copyWith(cmd, text)
}

// Paste returns the clipboard's text, or nothing.
func Paste(ctx context.Context) string {
	if os.Getenv("WAYLAND_DISPLAY") != "" {
		return paste(ctx, "wl-paste", "--no-newline")
	}
	if os.Getenv("DISPLAY") == "" {
		return ""
	}
	return paste(ctx, "xclip", "-selection", "clipboard", "-o")
}

// ShowFolder shows the directory of a file.
func ShowFolder(path string) error { return Open(filepath.Dir(path)) }

// Ask asks the user for a line of text.
func Ask(ctx context.Context, title, question string) (string, error) {
	return ask(ctx, []string{"zenity", "--entry", "--title", title, "--text", question}, []string{"kdialog", "--title", title, "--inputbox", question})
}

// PickFile asks the user for a file.
func PickFile(ctx context.Context, title string) (string, error) {
	return ask(ctx, []string{"zenity", "--file-selection", "--title", title}, []string{"kdialog", "--title", title, "--getopenfilename"})
}

func ask(ctx context.Context, dialogs ...[]string) (string, error) {
	cmd, err := first(dialogs...)
	if err != nil {
		return "", err
	}
	return answer(exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...))
}

// Notify shows a message beside the user's work (Desktop Notifications
// Specification).
func Notify(ctx context.Context, title, text string) error {
	bus, err := dbus.SessionBus()
	if err != nil {
		return fmt.Errorf("show a notification: %w", err)
	}
	server := bus.Object("org.freedesktop.Notifications", "/org/freedesktop/Notifications")
	const usualTime = int32(-1)
	err = server.CallWithContext(ctx, "org.freedesktop.Notifications.Notify", 0, "Skerry", uint32(0), "dev.skerry.Skerry", title, html.EscapeString(text),
		[]string{}, map[string]dbus.Variant{}, usualTime).Err
	if err != nil {
		return fmt.Errorf("show a notification: %w", err)
	}
	return nil
}

// Terminal runs a command in a new terminal, with further variables of the
// environment. A command of the user's own comes before the desktop's.
func Terminal(wanted, env, command []string) error {
	terminals := [][]string{{"xdg-terminal-exec"}}
	if len(wanted) > 0 {
		terminals = [][]string{slices.Clone(wanted)}
	}
	if own, err := shlex.Split(os.Getenv("TERMINAL")); err == nil && len(own) > 0 {
		terminals = append(terminals, append(own, "-e"))
	}
	terminals = append(terminals, []string{"x-terminal-emulator", "-e"}, []string{"xterm", "-e"})
	cmd, err := first(terminals...)
	if err != nil {
		return err
	}
	cmd.Args = append(cmd.Args, command...)
	cmd.Env = append(os.Environ(), env...)
	return launch(cmd)
}

// first is the first of some commands whose program is installed.
func first(commands ...[]string) (*exec.Cmd, error) {
	var names []string
	for _, c := range commands {
		if path, err := exec.LookPath(c[0]); err == nil {
			return exec.Command(path, c[1:]...), nil
		}
		names = append(names, c[0])
	}
	return nil, fmt.Errorf("none of these is installed: %s", strings.Join(names, ", "))
}
