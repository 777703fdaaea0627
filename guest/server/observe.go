//go:build linux

package server

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/cgroup"
	"github.com/skerry-app/skerry/guest/network"
)

// Statistics implements api.AgentServer.
func (s *Server) Statistics(context.Context, *api.StatisticsRequest) (*api.StatisticsResponse, error) {
	r, err := cgroup.Statistics()
	if err == nil {
		r.Interfaces, err = network.Statistics()
	}
	if err != nil {
		return nil, failed(err)
	}
	r.Time = timestamppb.Now()
	return r, nil
}

// Events implements api.AgentServer.
func (s *Server) Events(_ *api.EventsRequest, to grpc.ServerStreamingServer[api.Event]) error {
	return failed(cgroup.WatchOOM(to.Context(), func(kills int) error {
		return to.Send(&api.Event{OomKills: uint64(kills)})
	}))
}
