package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func (c *CLI) createCommand() *cobra.Command {
	f := &containerFlags{}
	cmd := &cobra.Command{
		Use:   "create [flags] IMAGE [COMMAND [ARG...]]",
		Short: "Make a container without starting it",
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := f.check(cmd, args)
			if err != nil {
				return err
			}
			options.Config.AttachStdin = f.interactive
			options.Config.StdinOnce = f.interactive
			api, err := c.client()
			if err != nil {
				return err
			}
			id, err := c.createWithFile(cmd.Context(), api, options, f)
			if err != nil {
				return err
			}
			fmt.Fprintln(c.out, id)
			return nil
		},
	}
	f.register(cmd)
	return cmd
}

func (c *CLI) runCommand() *cobra.Command {
	f := &containerFlags{}
	var detach, proxy bool
	var detachKeys string
	cmd := &cobra.Command{
		Use:   "run [flags] IMAGE [COMMAND [ARG...]]",
		Short: "Make a container and start it",
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := f.check(cmd, args)
			if err != nil {
				return err
			}
			keys, err := parseKeys(detachKeys)
			if err != nil {
				return usageError{cmd, err}
			}
			r := &runner{CLI: c, flags: f, options: options, keys: keys, proxy: proxy}
			if detach {
				return r.detached(cmd.Context())
			}
			return r.attached(cmd.Context())
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "run in the background and print the container's ID")
	cmd.Flags().StringVar(&detachKeys, "detach-keys", defaultDetachKeys, "keys that leave a terminal session")
	cmd.Flags().BoolVar(&proxy, "sig-proxy", true, "hand signals to the container")
	return cmd
}

// check builds the request and finds what is wrong with the command line.
func (f *containerFlags) check(cmd *cobra.Command, args []string) (client.ContainerCreateOptions, error) {
	switch f.pull {
	case pullMissing, pullAlways, pullNever:
	default:
		return client.ContainerCreateOptions{}, usagef(cmd, `--pull must be "always", "missing" or "never", not %q`, f.pull)
	}
	options, err := f.request(args)
	if err != nil {
		return client.ContainerCreateOptions{}, usageError{cmd, err}
	}
	return options, nil
}

// createWithFile creates the container and writes its ID to --cidfile. The
// file is made first: a container nobody knows the ID of helps no one.
func (c *CLI) createWithFile(ctx context.Context, api client.APIClient, o client.ContainerCreateOptions, f *containerFlags) (string, error) {
	if f.cidFile == "" {
		return c.create(ctx, api, o, f.pull)
	}
	file, err := os.OpenFile(f.cidFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("the container ID file %s exists already; remove it or choose another --cidfile", f.cidFile)
	}
	if err != nil {
		return "", fmt.Errorf("make the container ID file: %w", err)
	}
	defer file.Close()
	id, err := c.create(ctx, api, o, f.pull)
	if err != nil {
		os.Remove(f.cidFile)
		return "", err
	}
	if _, err := file.WriteString(id); err != nil {
		return "", fmt.Errorf("write the container ID file: %w", err)
	}
	return id, file.Close()
}

// runner is one run command.
type runner struct {
	*CLI
	flags   *containerFlags
	options client.ContainerCreateOptions
	keys    []byte
	proxy   bool
}

func skerryFailed(err error) error { return statusError{exitSkerry, err} }

func (r *runner) detached(ctx context.Context) error {
	r.options.Config.AttachStdout, r.options.Config.AttachStderr = false, false
	api, err := r.client()
	if err != nil {
		return skerryFailed(err)
	}
	id, err := r.createWithFile(ctx, api, r.options, r.flags)
	if err != nil {
		return r.interrupted(ctx, err)
	}
	if _, err := api.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return statusError{startStatus(err), err}
	}
	fmt.Fprintln(r.out, id)
	return nil
}

func (r *runner) attached(ctx context.Context) error {
	if _, ok := terminal(r.in); r.flags.tty && r.flags.interactive && !ok {
		return skerryFailed(errNoTerminal)
	}
	r.options.Config.AttachStdin = r.flags.interactive
	r.options.Config.StdinOnce = r.flags.interactive
	if rows, columns := size(r.out); r.flags.tty && rows > 0 {
		r.options.HostConfig.ConsoleSize = [2]uint{rows, columns}
	}
	api, err := r.client()
	if err != nil {
		return skerryFailed(err)
	}
	id, err := r.createWithFile(ctx, api, r.options, r.flags)
	if err != nil {
		return r.interrupted(ctx, err)
	}
	return r.follow(ctx, api, id)
}

// follow starts the container with this process's streams on it and returns
// its exit status. The order matters: attached before it starts, so that no
// output is missed; waited for before it starts, so that no end is.
func (r *runner) follow(ctx context.Context, api client.APIClient, id string) error {
	ctx, started, done := r.handSignals(ctx, api, id, r.proxy)
	defer done()
	remote, err := api.ContainerAttach(ctx, id, client.ContainerAttachOptions{
		Stream: true, Stdin: r.flags.interactive, Stdout: true, Stderr: true,
	})
	if err != nil {
		return r.ending(ctx, err)
	}
	s, err := r.open(remote.HijackedResponse, r.flags.tty, r.flags.interactive, r.keys)
	if err != nil {
		remote.Close()
		return skerryFailed(err)
	}
	defer s.close()

	condition := container.WaitConditionNextExit
	if r.flags.remove {
		condition = container.WaitConditionRemoved
	}
	ended := api.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: condition})
	if _, err := api.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return statusError{startStatus(err), err}
	}
	started()
	if r.flags.tty {
		r.followSize(ctx, containerResizer(api, id))
	}
	if err := r.stream(ctx, s); err != nil {
		return r.ending(ctx, err)
	}
	return await(ctx, ended)
}

// interrupted is err with the status that tells a Ctrl-C from a failure.
func (r *runner) interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return exitWith(exitInterrupted)
	}
	return skerryFailed(err)
}

// ending is how it is reported that the streams did not simply end.
func (c *CLI) ending(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, errDetached):
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return skerryFailed(err)
}

func (c *CLI) note(err error) { fmt.Fprintln(c.err, "skerry:", describe(err)) }

// await turns the answer to a wait into an exit status.
func await(ctx context.Context, w client.ContainerWaitResult) error {
	select {
	case response := <-w.Result:
		if response.Error != nil && response.Error.Message != "" {
			return skerryFailed(errors.New(response.Error.Message))
		}
		return exitWith(int(response.StatusCode))
	case err := <-w.Error:
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return skerryFailed(fmt.Errorf("wait for the container's exit status: %w", err))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func containerResizer(api client.APIClient, id string) func(context.Context, uint, uint) error {
	return func(ctx context.Context, rows, columns uint) error {
		_, err := api.ContainerResize(ctx, id, client.ContainerResizeOptions{Height: rows, Width: columns})
		return err
	}
}
