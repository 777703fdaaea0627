package cli

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func (c *CLI) portCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "port CONTAINER [PORT[/tcp]]",
		Short: "Show where a container's ports are published",
		Args:  args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, names []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			found, err := api.ContainerInspect(cmd.Context(), names[0], client.ContainerInspectOptions{})
			if err != nil {
				return err
			}
			ports := network.PortMap{}
			if s := found.Container.NetworkSettings; s != nil {
				ports = s.Ports
			}
			if len(names) == 1 {
				for _, port := range slices.SortedFunc(maps.Keys(ports), func(a, b network.Port) int { return cmp.Compare(a.Num(), b.Num()) }) {
					c.printPort(port.String()+" -> ", ports[port])
				}
				return nil
			}
			port, err := network.ParsePort(names[1])
			if err != nil {
				return usagef(cmd, "%q is no port such as 80 or 80/tcp", names[1])
			}
			if len(ports[port]) == 0 {
				return fmt.Errorf("port %s of container %s is not published", port, names[0])
			}
			c.printPort("", ports[port])
			return nil
		},
	}
}

func (c *CLI) printPort(before string, bindings []network.PortBinding) {
	for _, b := range bindings {
		fmt.Fprintln(c.out, before+net.JoinHostPort(b.HostIP.String(), b.HostPort))
	}
}
