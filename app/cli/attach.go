package cli

import (
	"fmt"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func (c *CLI) attachCommand() *cobra.Command {
	var noStdin, proxy bool
	var detachKeys string
	cmd := &cobra.Command{
		Use:   "attach [flags] CONTAINER",
		Short: "Take part in a running container's streams",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			keys, err := parseKeys(detachKeys)
			if err != nil {
				return usageError{cmd, err}
			}
			return c.follow(cmd, args[0], following{keys: keys, stdin: !noStdin, proxy: proxy})
		},
	}
	cmd.Flags().BoolVar(&noStdin, "no-stdin", false, "leave stdin out")
	cmd.Flags().BoolVar(&proxy, "sig-proxy", true, "hand signals to the container")
	cmd.Flags().StringVar(&detachKeys, "detach-keys", defaultDetachKeys, "keys that leave a terminal session")
	return cmd
}

func (c *CLI) startCommand() *cobra.Command {
	var attach, interactive bool
	var detachKeys string
	cmd := &cobra.Command{
		Use:   "start [flags] CONTAINER...",
		Short: "Start containers",
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			keys, err := parseKeys(detachKeys)
			if err != nil {
				return usageError{cmd, err}
			}
			if !attach && !interactive {
				return c.each(args, func(api client.APIClient, name string) error {
					_, err := api.ContainerStart(cmd.Context(), name, client.ContainerStartOptions{})
					return err
				})
			}
			if len(args) > 1 {
				return usagef(cmd, "only one container can be attached to")
			}
			return c.follow(cmd, args[0], following{keys: keys, stdin: interactive, proxy: true, start: true})
		},
	}
	cmd.Flags().BoolVarP(&attach, "attach", "a", false, "follow stdout and stderr, and end with the container's exit status")
	cmd.Flags().BoolVarP(&interactive, "interactive", "i", false, "hand stdin to the container as well")
	cmd.Flags().StringVar(&detachKeys, "detach-keys", defaultDetachKeys, "keys that leave a terminal session")
	return cmd
}

// following says how to follow a container that exists.
type following struct {
	keys  []byte
	stdin bool
	proxy bool
	start bool // it is not running: start it
}

func (c *CLI) follow(cmd *cobra.Command, name string, f following) error {
	ctx := cmd.Context()
	api, err := c.client()
	if err != nil {
		return err
	}
	// How the streams look depends on the container; and a refused attach
	// comes back without a reason, so it is looked for here.
	found, err := api.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil {
		return err
	}
	target := found.Container
	if !f.start && (target.State == nil || !target.State.Running) {
		return fmt.Errorf("container %s is not running; start it with: skerry start -a %s", name, name)
	}
	f.stdin = f.stdin && target.Config.OpenStdin
	if _, ok := terminal(c.in); target.Config.Tty && f.stdin && !ok {
		return errNoTerminal
	}
	return c.followFound(cmd, api, target, f)
}

func (c *CLI) followFound(cmd *cobra.Command, api client.APIClient, target container.InspectResponse, f following) error {
	tty := target.Config.Tty
	ctx, started, done := c.handSignals(cmd.Context(), api, target.ID, f.proxy)
	defer done()
	remote, err := api.ContainerAttach(ctx, target.ID, client.ContainerAttachOptions{
		Stream: true, Stdin: f.stdin, Stdout: true, Stderr: true,
	})
	if err != nil {
		return err
	}
	s, err := c.open(remote.HijackedResponse, tty, f.stdin, f.keys)
	if err != nil {
		remote.Close()
		return err
	}
	defer s.close()
	condition := container.WaitConditionNotRunning
	if f.start {
		condition = container.WaitConditionNextExit
	}
	if target.HostConfig != nil && target.HostConfig.AutoRemove {
		condition = container.WaitConditionRemoved
	}
	ended := api.ContainerWait(ctx, target.ID, client.ContainerWaitOptions{Condition: condition})
	if f.start {
		if _, err := api.ContainerStart(ctx, target.ID, client.ContainerStartOptions{}); err != nil {
			return err
		}
	}
	started()
	if tty {
		c.followSize(ctx, containerResizer(api, target.ID))
	}
	if err := c.stream(ctx, s); err != nil {
		return c.ending(ctx, err)
	}
	return await(ctx, ended)
}
