// Package desktop asks the user's desktop to open and to copy things.
package desktop

import (
	"fmt"
	"os/exec"
	"strings"
)

// launch starts a program that outlives the call.
func launch(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait()
	return nil
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

// copyWith hands text to a command of the clipboard.
func copyWith(cmd *exec.Cmd, text string) error {
	cmd.Stdin = strings.NewReader(text)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("copy with %s: %w", cmd.Path, err)
	}
	return nil
}
