package cli

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func (c *CLI) psCommand() *cobra.Command {
	var all, quiet, full, latest bool
	var last int
	var filters []string
	list := &listing{
		columns: []column{
			{"ID", "CONTAINER ID"}, {"Image", "IMAGE"}, {"Command", "COMMAND"}, {"RunningFor", "CREATED"},
			{"Status", "STATUS"}, {"Ports", "PORTS"}, {"Names", "NAMES"},
			{"CreatedAt", "CREATED AT"}, {"State", "STATE"}, {"Labels", "LABELS"}, {"Networks", "NETWORKS"},
		},
		table: []string{"ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"},
	}
	cmd := &cobra.Command{
		Use:     "ps [flags]",
		Aliases: []string{"ls", "list"},
		Short:   "List containers",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := list.check(cmd); err != nil {
				return err
			}
			chosen, err := parseFilters(filters)
			if err != nil {
				return usageError{cmd, err}
			}
			if latest {
				last = 1
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			found, err := api.ContainerList(cmd.Context(), client.ContainerListOptions{All: all || last > 0, Limit: last, Filters: chosen})
			if err != nil {
				return err
			}
			if quiet {
				for _, s := range found.Items {
					fmt.Fprintln(c.out, shortID(s.ID, full))
				}
				return nil
			}
			rows := make([]row, len(found.Items))
			for i, s := range found.Items {
				rows[i] = containerRow(s, full, time.Now())
			}
			return list.print(cmd, c.out, rows)
		},
	}
	fs := cmd.Flags()
	fs.BoolVarP(&all, "all", "a", false, "stopped ones as well")
	fs.BoolVarP(&quiet, "quiet", "q", false, "IDs only")
	fs.BoolVar(&full, "no-trunc", false, "nothing is shortened")
	fs.BoolVarP(&latest, "latest", "l", false, "the newest one, in any state")
	fs.IntVarP(&last, "last", "n", 0, "the newest n, in any state")
	fs.StringArrayVarP(&filters, "filter", "f", nil, "only those for which key=value holds, such as status=exited")
	list.register(cmd)
	return cmd
}

// parseFilters reads key=value pairs.
func parseFilters(pairs []string) (client.Filters, error) {
	filters := client.Filters{}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("--filter must be key=value, not %q", pair)
		}
		filters.Add(strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value))
	}
	return filters, nil
}

const shortCommand = 20 // characters of the command in a table, docker's

func containerRow(s container.Summary, full bool, now time.Time) row {
	names := make([]string, len(s.Names))
	for i, name := range s.Names {
		names[i] = strings.TrimPrefix(name, "/")
	}
	command := []rune(s.Command)
	if !full && len(command) > shortCommand {
		command = append(command[:shortCommand-1], '…')
	}
	created := time.Unix(s.Created, 0)
	var networks []string
	if s.NetworkSettings != nil {
		for name := range s.NetworkSettings.Networks {
			networks = append(networks, name)
		}
	}
	slices.Sort(networks)
	return row{
		"ID":         shortID(s.ID, full),
		"Image":      s.Image,
		"Command":    strconv.Quote(string(command)),
		"RunningFor": units.HumanDuration(now.Sub(created)) + " ago",
		"CreatedAt":  created.Format("2006-01-02 15:04:05 -0700 MST"),
		"Status":     s.Status,
		"State":      string(s.State),
		"Ports":      portList(s.Ports),
		"Names":      strings.Join(names, ","),
		"Labels":     labelList(s.Labels),
		"Networks":   strings.Join(networks, ","),
	}
}

// portList is 127.0.0.1:8080->80/tcp, and 80/tcp for one that is not published.
func portList(ports []container.PortSummary) string {
	ports = slices.Clone(ports)
	slices.SortFunc(ports, func(a, b container.PortSummary) int {
		return cmp.Or(cmp.Compare(a.PrivatePort, b.PrivatePort), cmp.Compare(a.Type, b.Type), a.IP.Compare(b.IP), cmp.Compare(a.PublicPort, b.PublicPort))
	})
	words := make([]string, len(ports))
	for i, p := range ports {
		inside := fmt.Sprintf("%d/%s", p.PrivatePort, p.Type)
		switch {
		case p.PublicPort == 0:
			words[i] = inside
		case !p.IP.IsValid():
			words[i] = fmt.Sprintf("%d->%s", p.PublicPort, inside)
		default:
			words[i] = net.JoinHostPort(p.IP.String(), strconv.Itoa(int(p.PublicPort))) + "->" + inside
		}
	}
	return strings.Join(words, ", ")
}

func labelList(labels map[string]string) string {
	pairs := make([]string, 0, len(labels))
	for key, value := range labels {
		pairs = append(pairs, key+"="+value)
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}
