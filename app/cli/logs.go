package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func (c *CLI) logsCommand() *cobra.Command {
	o := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true}
	cmd := &cobra.Command{
		Use:   "logs [flags] CONTAINER",
		Short: "Print what a container has written",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			found, err := api.ContainerInspect(cmd.Context(), args[0], client.ContainerInspectOptions{})
			if err != nil {
				return err
			}
			log, err := api.ContainerLogs(cmd.Context(), found.Container.ID, o)
			if err != nil {
				return err
			}
			defer log.Close()
			if found.Container.Config.Tty {
				_, err = io.Copy(c.out, log)
			} else {
				_, err = stdcopy.StdCopy(c.out, c.err, log)
			}
			return err
		},
	}
	fs := cmd.Flags()
	fs.BoolVarP(&o.Follow, "follow", "f", false, "go on until the container stops")
	fs.StringVarP(&o.Tail, "tail", "n", "all", "only the last lines")
	fs.BoolVarP(&o.Timestamps, "timestamps", "t", false, "begin each line with its time")
	fs.StringVar(&o.Since, "since", "", "only what is newer: a time (RFC 3339), or a duration such as 10m")
	fs.StringVar(&o.Until, "until", "", "only what is older")
	return cmd
}

func (c *CLI) topCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "top CONTAINER [ps options]",
		Short: "List a container's processes",
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			found, err := api.ContainerTop(cmd.Context(), args[0], client.ContainerTopOptions{Arguments: args[1:]})
			if err != nil {
				return err
			}
			const minWidth, tabWidth, padding = 20, 1, 3 // docker's
			table := tabwriter.NewWriter(c.out, minWidth, tabWidth, padding, ' ', 0)
			for _, line := range append([][]string{found.Titles}, found.Processes...) {
				fmt.Fprintln(table, strings.Join(line, "\t"))
			}
			return table.Flush()
		},
	}
	cmd.Flags().SetInterspersed(false)
	return cmd
}
