package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func (c *CLI) volumeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "volume COMMAND",
		Short: "Manage volumes: disks that outlive containers",
		Args:  knownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.volumeCreateCommand(), c.volumeListCommand(), c.volumeInspectCommand(), c.volumeRemoveCommand(), c.volumePruneCommand())
	return cmd
}

func (c *CLI) volumeCreateCommand() *cobra.Command {
	var labels, options []string
	var driver string
	cmd := &cobra.Command{
		Use:   "create [flags] [NAME]",
		Short: "Make a volume",
		Args:  args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			made, err := api.VolumeCreate(cmd.Context(), client.VolumeCreateOptions{Name: strings.Join(args, ""), Driver: driver, DriverOpts: keyValues(options), Labels: keyValues(labels)})
			if err != nil {
				return err
			}
			fmt.Fprintln(c.out, made.Volume.Name)
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&labels, "label", nil, "set a label: key=value")
	cmd.Flags().StringArrayVarP(&options, "opt", "o", nil, "size=SIZE that it may grow to (64g); of the driver nbd: url=nbd://host/export or url=nbd+unix:///export?socket=/path")
	cmd.Flags().StringVarP(&driver, "driver", "d", "", `"local", a disk image of this computer, or "nbd", a network block device that has an ext4 file system`)
	return cmd
}

func (c *CLI) volumeListCommand() *cobra.Command {
	var quiet bool
	var filters []string
	list := &listing{
		columns: []column{{"Driver", "DRIVER"}, {"Name", "VOLUME NAME"}, {"Labels", "LABELS"}, {"Mountpoint", "MOUNTPOINT"}, {"Scope", "SCOPE"}},
		table:   []string{"Driver", "Name"},
	}
	cmd := &cobra.Command{
		Use:     "ls [flags]",
		Aliases: []string{"list"},
		Short:   "List volumes",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := list.check(cmd); err != nil {
				return err
			}
			chosen, err := parseFilters(filters)
			if err != nil {
				return usageError{cmd, err}
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			found, err := api.VolumeList(cmd.Context(), client.VolumeListOptions{Filters: chosen})
			if err != nil {
				return err
			}
			slices.SortFunc(found.Items, func(a, b volume.Volume) int { return strings.Compare(a.Name, b.Name) })
			var rows []row
			for _, v := range found.Items {
				if quiet {
					fmt.Fprintln(c.out, v.Name)
				}
				rows = append(rows, row{"Driver": v.Driver, "Name": v.Name, "Labels": labelList(v.Labels), "Mountpoint": v.Mountpoint, "Scope": v.Scope})
			}
			if quiet {
				return nil
			}
			return list.print(cmd, c.out, rows)
		},
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "names only")
	cmd.Flags().StringArrayVarP(&filters, "filter", "f", nil, "only those for which key=value holds, such as dangling=true")
	list.register(cmd)
	return cmd
}

func (c *CLI) volumeInspectCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "inspect [flags] NAME...",
		Short: "Print all that is known of volumes, as JSON",
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			var found []inspectable
			var failures []error
			for _, name := range args {
				v, err := api.VolumeInspect(cmd.Context(), name, client.VolumeInspectOptions{})
				if err != nil {
					failures = append(failures, err)
					continue
				}
				found = append(found, inspectable{v.Raw, v.Volume})
			}
			return errors.Join(append(failures, c.printInspected(cmd, found, format))...)
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "", `"json", or a Go template such as "{{.Mountpoint}}"`)
	return cmd
}

func (c *CLI) volumeRemoveCommand() *cobra.Command {
	var force bool
	cmd := c.eachCommand("rm [flags] NAME...", "Remove volumes and their data, but for what is on network block devices", func(ctx context.Context, api client.APIClient, name string) error {
		_, err := api.VolumeRemove(ctx, name, client.VolumeRemoveOptions{Force: force})
		if force && errdefs.IsNotFound(err) {
			return nil
		}
		return err
	})
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not mind missing ones")
	return cmd
}

func (c *CLI) volumePruneCommand() *cobra.Command {
	var all, force bool
	var filters []string
	cmd := &cobra.Command{
		Use:   "prune [flags]",
		Short: "Remove volumes without a name that no container has",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !force {
				return usagef(cmd, "data would be gone for good: say --force if that is what you want")
			}
			chosen, err := parseFilters(filters)
			if err != nil {
				return usageError{cmd, err}
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			pruned, err := api.VolumePrune(cmd.Context(), client.VolumePruneOptions{All: all, Filters: chosen})
			if err != nil {
				return err
			}
			for _, name := range pruned.Report.VolumesDeleted {
				fmt.Fprintln(c.out, name)
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "those with a name as well")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do it")
	cmd.Flags().StringArrayVar(&filters, "filter", nil, "only those for which key=value holds, such as label=mine")
	return cmd
}
