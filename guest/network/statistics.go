//go:build linux

package network

import (
	"fmt"
	"net"

	"github.com/vishvananda/netlink"

	"github.com/skerry-app/skerry/guest/api"
)

// Statistics returns what has gone through the machine's interfaces that are up,
// without the loopback one.
func Statistics() ([]*api.InterfaceStatistics, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("statistics of the network: %w", err)
	}
	var all []*api.InterfaceStatistics
	for _, link := range links {
		a := link.Attrs()
		if a.Flags&net.FlagLoopback != 0 || a.Flags&net.FlagUp == 0 || a.Statistics == nil {
			continue
		}
		all = append(all, &api.InterfaceStatistics{
			Name:          a.Name,
			ReceivedBytes: a.Statistics.RxBytes, ReceivedPackets: a.Statistics.RxPackets,
			ReceivedErrors: a.Statistics.RxErrors, ReceivedDropped: a.Statistics.RxDropped,
			SentBytes: a.Statistics.TxBytes, SentPackets: a.Statistics.TxPackets,
			SentErrors: a.Statistics.TxErrors, SentDropped: a.Statistics.TxDropped,
		})
	}
	return all, nil
}
