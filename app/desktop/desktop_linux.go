package desktop

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

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

// Terminal runs a command in a new terminal, with further variables of the
// environment.
func Terminal(env, command []string) error {
	terminals := [][]string{{"xdg-terminal-exec"}}
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
