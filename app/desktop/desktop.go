// Package desktop asks the user's desktop to open and copy things, to show a
// message, and to ask its user.
package desktop

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// ErrCancelled says that the user has closed a dialog without an answer.
var ErrCancelled = errors.New("the dialog was closed")

// editors open a file at a line. {f} stands for the file and {l} for the line.
var editors = [][]string{
	{"code", "-g", "{f}:{l}"}, {"codium", "-g", "{f}:{l}"}, {"zed", "{f}:{l}"}, {"subl", "{f}:{l}"}, {"mate", "-l", "{l}", "{f}"},
	{"kate", "-l", "{l}", "{f}"}, {"gedit", "+{l}", "{f}"}, {"mousepad", "-l", "{l}", "{f}"},
}

// EditAt opens a text file at a line, from 1, if one of the editors that can is
// installed, else as Edit does.
func EditAt(path string, line int) error {
	for _, editor := range editors {
		program, err := exec.LookPath(editor[0])
		if err != nil || line < 1 {
			continue
		}
		put := strings.NewReplacer("{f}", path, "{l}", strconv.Itoa(line))
		var args []string
		for _, arg := range editor[1:] {
			args = append(args, put.Replace(arg))
		}
		return launch(exec.Command(program, args...))
	}
	return Edit(path)
}

// answer runs a dialog and returns what the user has put in. Dialogs end with
// status 1 when they are closed.
func answer(cmd *exec.Cmd) (string, error) {
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		return "", ErrCancelled
	case err != nil:
		return "", fmt.Errorf("ask with %s: %w", cmd.Path, err)
	}
	text := strings.TrimSpace(string(out))
	if text == "" {
		return "", ErrCancelled
	}
	return text, nil
}

// paste is what a command of the clipboard gives; nothing, when there is none.
func paste(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return ""
	}
	return string(out)
}

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
