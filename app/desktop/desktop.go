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

// copyWith hands text to a command of the clipboard.
func copyWith(cmd *exec.Cmd, text string) error {
	cmd.Stdin = strings.NewReader(text)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("copy with %s: %w", cmd.Path, err)
	}
	return nil
}
