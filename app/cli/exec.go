package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

type execFlags struct {
	detach, interactive, tty, privileged bool
	env, envFiles                        []string
	workDir, user, detachKeys            string
}

func (c *CLI) execCommand() *cobra.Command {
	f := &execFlags{}
	cmd := &cobra.Command{
		Use:   "exec [flags] CONTAINER COMMAND [ARG...]",
		Short: "Run a command in a running container",
		Args:  args(cobra.MinimumNArgs(2)),
		RunE:  func(cmd *cobra.Command, args []string) error { return c.exec(cmd, f, args) },
	}
	fs := cmd.Flags()
	fs.SetInterspersed(false)
	fs.BoolVarP(&f.detach, "detach", "d", false, "run in the background")
	fs.BoolVarP(&f.interactive, "interactive", "i", false, "hand stdin to the command")
	fs.BoolVarP(&f.tty, "tty", "t", false, "give the command a terminal")
	fs.BoolVar(&f.privileged, "privileged", false, "all capabilities, inside the container's machine")
	fs.StringArrayVarP(&f.env, "env", "e", nil, "set an environment variable")
	fs.StringArrayVar(&f.envFiles, "env-file", nil, "read environment variables from a file")
	fs.StringVarP(&f.workDir, "workdir", "w", "", "working directory in the container")
	fs.StringVarP(&f.user, "user", "u", "", "user, or user:group, by name or number")
	fs.StringVar(&f.detachKeys, "detach-keys", defaultDetachKeys, "keys that leave a terminal session")
	return cmd
}

func (c *CLI) exec(cmd *cobra.Command, f *execFlags, args []string) error {
	env, err := environment(f.envFiles, f.env)
	if err != nil {
		return usageError{cmd, err}
	}
	keys, err := parseKeys(f.detachKeys)
	if err != nil {
		return usageError{cmd, err}
	}
	if _, ok := terminal(c.in); f.tty && f.interactive && !f.detach && !ok {
		return errNoTerminal
	}
	api, err := c.client()
	if err != nil {
		return err
	}
	options := client.ExecCreateOptions{
		User: f.user, Privileged: f.privileged, TTY: f.tty, Env: env, WorkingDir: f.workDir, Cmd: args[1:],
		AttachStdin: f.interactive && !f.detach, AttachStdout: !f.detach, AttachStderr: !f.detach,
		DetachKeys: f.detachKeys,
	}
	console := client.ConsoleSize{}
	if f.tty {
		console.Height, console.Width = size(c.out)
		options.ConsoleSize = console
	}
	ctx := cmd.Context()
	created, err := api.ExecCreate(ctx, args[0], options)
	if err != nil {
		return err
	}
	if f.detach {
		_, err := api.ExecStart(ctx, created.ID, client.ExecStartOptions{Detach: true, TTY: f.tty, ConsoleSize: console})
		return execFailed(err)
	}
	remote, err := api.ExecAttach(ctx, created.ID, client.ExecAttachOptions{TTY: f.tty, ConsoleSize: console})
	if err != nil {
		return c.execRefused(ctx, api, created.ID, err)
	}
	s, err := c.open(remote.HijackedResponse, f.tty, f.interactive, keys)
	if err != nil {
		remote.Close()
		return err
	}
	return c.followExec(ctx, api, created.ID, s)
}

func (c *CLI) followExec(ctx context.Context, api client.APIClient, id string, s *session) error {
	defer s.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.tty {
		go func() {
			defer s.raw.guard()
			c.followSize(ctx, execResizer(api, id))
		}()
	}
	if err := c.stream(ctx, s); err != nil {
		return c.ending(ctx, err)
	}
	result, err := api.ExecInspect(ctx, id, client.ExecInspectOptions{})
	if err != nil {
		return fmt.Errorf("ask for the command's exit status: %w", err)
	}
	return exitWith(result.ExitCode)
}

// execRefused finds out why an exec could not be started: moby's client keeps
// only the HTTP status of a refused attach, the exec itself knows the exit
// status that says more.
func (c *CLI) execRefused(ctx context.Context, api client.APIClient, id string, err error) error {
	if result, inspectErr := api.ExecInspect(ctx, id, client.ExecInspectOptions{}); inspectErr == nil && result.ExitCode != 0 {
		return statusError{result.ExitCode, fmt.Errorf("start the command: %w", err)}
	}
	return execFailed(fmt.Errorf("start the command: %w", err))
}

// execFailed keeps 126 and 127 for a command that cannot be run; every other
// failure has the ordinary status.
func execFailed(err error) error {
	if err == nil {
		return nil
	}
	if status := startStatus(err); status != exitSkerry {
		return statusError{status, err}
	}
	return err
}

const (
	resizeTries = 10 // an exec can be resized only once its process is there
	resizeDelay = 20 * time.Millisecond
)

func execResizer(api client.APIClient, id string) func(context.Context, uint, uint) error {
	return func(ctx context.Context, rows, columns uint) error {
		var err error
		for range resizeTries {
			if _, err = api.ExecResize(ctx, id, client.ExecResizeOptions{Height: rows, Width: columns}); err == nil {
				return nil
			}
			select {
			case <-time.After(resizeDelay):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return err
	}
}
