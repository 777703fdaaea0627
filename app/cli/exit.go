package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/spf13/cobra"
)

// Exit statuses, docker's where docker has them.
const (
	exitFailure       = 1
	exitUsage         = 2
	exitSkerry        = 125 // run: the failure is Skerry's, not the container's
	exitNotExecutable = 126 // run: the command cannot be executed
	exitNotFound      = 127 // run: the command does not exist
	exitInterrupted   = 130 // 128 + SIGINT, as shells do
)

// statusError ends the command line with a certain status. Without err nothing
// is printed: the status is the container's.
type statusError struct {
	status int
	err    error
}

func (e statusError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e statusError) Unwrap() error { return e.err }

// exitWith ends with the container's status; 0 is no error.
func exitWith(status int) error {
	if status == 0 {
		return nil
	}
	return statusError{status: status}
}

// usageError is a command line that does not make sense.
type usageError struct {
	command *cobra.Command
	err     error
}

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// usagef is for what a command finds wrong with its arguments by itself.
func usagef(cmd *cobra.Command, format string, a ...any) error {
	return usageError{cmd, fmt.Errorf(format, a...)}
}

// args turns one of cobra's checks into one whose failure is a usageError.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{cmd, err}
		}
		return nil
	}
}

// knownCommand is the root's check: whatever follows it is no command of ours.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if later, ok := laterCommands[args[0]]; ok {
		return usagef(cmd, "%s", later)
	}
	near := cmd.SuggestionsFor(args[0])
	if len(near) == 0 {
		return usagef(cmd, "unknown command %q", args[0])
	}
	return usagef(cmd, "unknown command %q; did you mean %q?", args[0], near[0])
}

// laterCommands are commands that people will type and that are not there,
// with what to tell them.
var laterCommands = map[string]string{
	"build":   "building images is not supported yet",
	"commit":  "making images of containers is not supported yet",
	"df":      "measuring disk use is not supported yet",
	"export":  "exporting a container's files is not supported yet",
	"history": "showing an image's history is not supported yet",
	"import":  "importing compose files is not supported yet",
	"network": "managing networks is not supported yet",
	"prune":   "removing all that is not used is not supported yet",
	"update":  "changing a container's resources is not supported yet",
}

// report prints what went wrong, if anything, and returns the exit status.
func (c *CLI) report(ctx context.Context, err error) int {
	if err == nil {
		return 0
	}
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(c.err, "skerry: %v\nusage: %s\n(%s --help tells more)\n", usage.err, usage.command.UseLine(), usage.command.CommandPath())
		return exitUsage
	}
	var status statusError
	if errors.As(err, &status) {
		if status.err != nil {
			fmt.Fprintln(c.err, "skerry:", describe(status.err))
		}
		return status.status
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	fmt.Fprintln(c.err, "skerry:", describe(err))
	return exitFailure
}

// describe is an error without the words that moby's client puts around the
// app's own: they speak of a daemon that there is not.
func describe(err error) string {
	var launch *launchError
	if errors.As(err, &launch) {
		return launch.Error()
	}
	return strings.ReplaceAll(err.Error(), "Error response from daemon: ", "")
}

// startStatus is the exit status for a container or exec whose process could
// not be started. The words are those by which docker's own client tells the
// cases apart, so every server of the API has them.
func startStatus(err error) int {
	text := strings.ToLower(err.Error())
	switch {
	case errdefs.IsNotFound(err) && strings.Contains(text, "no such container"):
		return exitSkerry
	case strings.Contains(text, "executable file not found"), strings.Contains(text, "no such file or directory"):
		return exitNotFound
	case strings.Contains(text, "permission denied"), strings.Contains(text, "is a directory"):
		return exitNotExecutable
	}
	return exitSkerry
}
