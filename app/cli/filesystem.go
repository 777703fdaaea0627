package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"
)

func (c *CLI) fsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fs",
		Short: "Freeze, thaw and trim file systems of containers",
		Long: "Freeze, thaw and trim file systems of running containers: their root, or a volume by the path where it is mounted. " +
			"While one is frozen its disk can be copied: it is complete and clean. What writes to it waits, for a minute at most.",
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return usagef(cmd, "say freeze, thaw or trim") },
	}
	for action, short := range map[string]string{
		"freeze": "Hold up all writing to a file system",
		"thaw":   "Let writing to a file system go on",
		"trim":   "Give what a file system does not use back to this computer",
	} {
		cmd.AddCommand(&cobra.Command{
			Use:   action + " CONTAINER [PATH]",
			Short: short,
			Args:  args(cobra.RangeArgs(1, 2)),
			RunE: func(cmd *cobra.Command, names []string) error {
				endpoint := "/skerry/containers/" + url.PathEscape(names[0]) + "/files/" + action
				if len(names) > 1 {
					endpoint += "?path=" + url.QueryEscape(names[1])
				}
				answer, err := c.call(cmd.Context(), false, http.MethodPost, endpoint, nil)
				if err != nil {
					return err
				}
				defer answer.Close()
				var done struct{ Bytes uint64 }
				if err := json.NewDecoder(answer).Decode(&done); err != nil {
					return fmt.Errorf("read the app's answer: %w", err)
				}
				if action == "trim" {
					fmt.Fprintln(c.out, units.BytesSize(float64(done.Bytes)))
				}
				return nil
			},
		})
	}
	return cmd
}
