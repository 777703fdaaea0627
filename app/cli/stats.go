package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// statsPause is the least time between two rounds of statistics.
const statsPause = time.Second

// clearScreen moves to the upper left corner and clears what is below.
const clearScreen = "\x1b[H\x1b[J"

func (c *CLI) statsCommand() *cobra.Command {
	var all, once, full bool
	list := &listing{
		columns: []column{
			{"ID", "CONTAINER ID"}, {"Name", "NAME"}, {"CPUPerc", "CPU %"}, {"MemUsage", "MEM USAGE / LIMIT"}, {"MemPerc", "MEM %"},
			{"NetIO", "NET I/O"}, {"BlockIO", "BLOCK I/O"}, {"PIDs", "PIDS"}, {"Container", "CONTAINER"},
		},
		table: []string{"ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"},
	}
	cmd := &cobra.Command{
		Use:   "stats [flags] [CONTAINER...]",
		Short: "Show what containers use, again and again",
		Args:  args(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := list.check(cmd); err != nil {
				return err
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			_, onTerminal := terminal(c.out)
			for {
				round := time.After(statsPause)
				rows, err := statsRows(cmd.Context(), api, names, all, full)
				if err != nil {
					return err
				}
				if onTerminal && !once {
					fmt.Fprint(c.out, clearScreen)
				}
				if err := list.print(cmd, c.out, rows); err != nil || once {
					return err
				}
				select {
				case <-round:
				case <-cmd.Context().Done():
					return nil
				}
			}
		},
	}
	fs := cmd.Flags()
	fs.BoolVarP(&all, "all", "a", false, "those that do not run as well")
	fs.BoolVar(&once, "no-stream", false, "only once")
	fs.BoolVar(&full, "no-trunc", false, "nothing is shortened")
	list.register(cmd)
	return cmd
}

// statsRows asks for all containers at the same time, since each answer takes
// a second: so long is looked at how busy the processors are.
func statsRows(ctx context.Context, api *client.Client, names []string, all, full bool) ([]row, error) {
	named := len(names) > 0
	if !named {
		found, err := api.ContainerList(ctx, client.ContainerListOptions{All: all})
		if err != nil {
			return nil, err
		}
		for _, s := range found.Items {
			names = append(names, s.ID)
		}
	}
	rows := make([]row, len(names))
	var group errgroup.Group
	for i, name := range names {
		group.Go(func() error {
			answer, err := api.ContainerStats(ctx, name, client.ContainerStatsOptions{IncludePreviousSample: true})
			if errdefs.IsNotFound(err) && !named { // removed since it was listed
				return nil
			}
			if err != nil {
				return err
			}
			defer answer.Body.Close()
			var s container.StatsResponse
			if err := json.NewDecoder(answer.Body).Decode(&s); err != nil {
				return fmt.Errorf("read the statistics of %s: %w", name, err)
			}
			rows[i] = statsRow(s, full)
			rows[i]["Container"] = name
			return nil
		})
	}
	err := group.Wait()
	return slices.DeleteFunc(rows, func(r row) bool { return r == nil }), err
}

func statsRow(s container.StatsResponse, full bool) row {
	var received, sent, read, written uint64
	for _, n := range s.Networks {
		received += n.RxBytes
		sent += n.TxBytes
	}
	for _, e := range s.BlkioStats.IoServiceBytesRecursive {
		switch strings.ToLower(e.Op) {
		case "read":
			read += e.Value
		case "write":
			written += e.Value
		}
	}
	m := s.MemoryStats
	used := float64(m.Usage - min(m.Usage, m.Stats["inactive_file"])) // what can be given back at once does not count, as with docker
	return row{
		"ID": shortID(s.ID, full), "Name": strings.TrimPrefix(s.Name, "/"),
		"CPUPerc":  fmt.Sprintf("%.2f%%", busy(s)),
		"MemUsage": units.BytesSize(used) + " / " + units.BytesSize(float64(m.Limit)),
		"MemPerc":  fmt.Sprintf("%.2f%%", 100*used/max(float64(m.Limit), 1)),
		"NetIO":    units.HumanSizeWithPrecision(float64(received), 3) + " / " + units.HumanSizeWithPrecision(float64(sent), 3),
		"BlockIO":  units.HumanSizeWithPrecision(float64(read), 3) + " / " + units.HumanSizeWithPrecision(float64(written), 3),
		"PIDs":     strconv.FormatUint(s.PidsStats.Current, 10),
	}
}

// busy returns how busy the container kept the processors between two
// statistics, in percent of one.
func busy(s container.StatsResponse) float64 {
	used := float64(s.CPUStats.CPUUsage.TotalUsage) - float64(s.PreCPUStats.CPUUsage.TotalUsage)
	had := float64(s.CPUStats.SystemUsage) - float64(s.PreCPUStats.SystemUsage)
	if used <= 0 || had <= 0 {
		return 0
	}
	return 100 * used / had * float64(cmp.Or(s.CPUStats.OnlineCPUs, 1))
}
