package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

// each does one thing to every container named, prints the names that it was
// done to, and reports all failures.
func (c *CLI) each(names []string, do func(api client.APIClient, name string) error) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	var failures []error
	for _, name := range names {
		if err := do(api, name); err != nil {
			failures = append(failures, err)
			var launch *launchError
			if errors.Is(err, context.Canceled) || errors.As(err, &launch) {
				break // nothing else will go better
			}
			continue
		}
		fmt.Fprintln(c.out, name)
	}
	return errors.Join(failures...)
}

// eachCommand is a command that does one thing to every container named.
func (c *CLI) eachCommand(use, short string, do func(ctx context.Context, api client.APIClient, name string) error) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.each(args, func(api client.APIClient, name string) error { return do(cmd.Context(), api, name) })
		},
	}
}

func (c *CLI) updateCommand() *cobra.Command {
	var restart string
	cmd := c.eachCommand("update --restart POLICY CONTAINER...", "Change the restart policy of containers", func(ctx context.Context, api client.APIClient, name string) error {
		policy, err := restartPolicy(restart)
		if err != nil {
			return err
		}
		_, err = api.ContainerUpdate(ctx, name, client.ContainerUpdateOptions{RestartPolicy: &policy})
		return err
	})
	cmd.Flags().StringVar(&restart, "restart", "", "no, always, unless-stopped, on-failure[:retries]")
	_ = cmd.MarkFlagRequired("restart")
	return cmd
}

// stopFlags are how stop and restart end a container.
type stopFlags struct {
	seconds int
	signal  string
}

func (f *stopFlags) register(cmd *cobra.Command) {
	cmd.Flags().IntVarP(&f.seconds, "time", "t", 0, "seconds to wait before it is killed; -1 for ever (default: the container's own)")
	cmd.Flags().IntVar(&f.seconds, "timeout", 0, "")
	_ = cmd.Flags().MarkHidden("timeout")
	cmd.Flags().StringVarP(&f.signal, "signal", "s", "", "signal to send (default: the container's own)")
}

func (f *stopFlags) timeout(cmd *cobra.Command) *int {
	if cmd.Flags().Changed("time") || cmd.Flags().Changed("timeout") {
		return &f.seconds
	}
	return nil
}

func (c *CLI) stopCommand() *cobra.Command {
	var f stopFlags
	var cmd *cobra.Command
	cmd = c.eachCommand("stop [flags] CONTAINER...", "Stop containers", func(ctx context.Context, api client.APIClient, name string) error {
		_, err := api.ContainerStop(ctx, name, client.ContainerStopOptions{Signal: f.signal, Timeout: f.timeout(cmd)})
		return err
	})
	f.register(cmd)
	return cmd
}

func (c *CLI) restartCommand() *cobra.Command {
	var f stopFlags
	var cmd *cobra.Command
	cmd = c.eachCommand("restart [flags] CONTAINER...", "Stop containers and start them again", func(ctx context.Context, api client.APIClient, name string) error {
		_, err := api.ContainerRestart(ctx, name, client.ContainerRestartOptions{Signal: f.signal, Timeout: f.timeout(cmd)})
		return err
	})
	f.register(cmd)
	return cmd
}

func (c *CLI) killCommand() *cobra.Command {
	var signal string
	cmd := c.eachCommand("kill [flags] CONTAINER...", "Send a signal to containers, KILL by default", func(ctx context.Context, api client.APIClient, name string) error {
		_, err := api.ContainerKill(ctx, name, client.ContainerKillOptions{Signal: signal})
		return err
	})
	cmd.Flags().StringVarP(&signal, "signal", "s", "", "signal to send, by name or number")
	return cmd
}

func (c *CLI) pauseCommand() *cobra.Command {
	return c.eachCommand("pause CONTAINER...", "Halt containers where they are", func(ctx context.Context, api client.APIClient, name string) error {
		_, err := api.ContainerPause(ctx, name, client.ContainerPauseOptions{})
		return err
	})
}

func (c *CLI) unpauseCommand() *cobra.Command {
	return c.eachCommand("unpause CONTAINER...", "Let paused containers go on", func(ctx context.Context, api client.APIClient, name string) error {
		_, err := api.ContainerUnpause(ctx, name, client.ContainerUnpauseOptions{})
		return err
	})
}

func (c *CLI) rmCommand() *cobra.Command {
	var force, volumes bool
	cmd := c.eachCommand("rm [flags] CONTAINER...", "Remove containers", func(ctx context.Context, api client.APIClient, name string) error {
		_, err := api.ContainerRemove(ctx, name, client.ContainerRemoveOptions{Force: force, RemoveVolumes: volumes})
		if force && errdefs.IsNotFound(err) {
			return nil
		}
		return err
	})
	cmd.Flags().BoolVarP(&force, "force", "f", false, "remove running containers too, and do not mind missing ones")
	cmd.Flags().BoolVarP(&volumes, "volumes", "v", false, "remove their unnamed volumes as well")
	return cmd
}

func (c *CLI) renameCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rename CONTAINER NEW-NAME",
		Short: "Give a container another name",
		Args:  args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			_, err = api.ContainerRename(cmd.Context(), args[0], client.ContainerRenameOptions{NewName: args[1]})
			return err
		},
	}
}

func (c *CLI) waitCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "wait CONTAINER...",
		Short: "Wait until containers stop and print their exit statuses",
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			var failures []error
			for _, name := range args {
				w := api.ContainerWait(cmd.Context(), name, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
				select {
				case response := <-w.Result:
					if response.Error != nil && response.Error.Message != "" {
						failures = append(failures, errors.New(response.Error.Message))
						continue
					}
					fmt.Fprintln(c.out, response.StatusCode)
				case err := <-w.Error:
					failures = append(failures, err)
				}
			}
			return errors.Join(failures...)
		},
	}
}
