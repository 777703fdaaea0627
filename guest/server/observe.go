//go:build linux

package server

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/network"
)

// Statistics implements api.AgentServer.
func (s *Server) Statistics(_ context.Context, r *api.StatisticsRequest) (*api.StatisticsResponse, error) {
	c, err := s.container(r.Container)
	if err != nil {
		return nil, err
	}
	counted, err := c.group.Statistics()
	if err == nil {
		counted.Interfaces, err = network.Statistics()
	}
	if err != nil {
		return nil, failed(err)
	}
	counted.Time = timestamppb.Now()
	return counted, nil
}

// Events implements api.AgentServer.
func (s *Server) Events(r *api.EventsRequest, to grpc.ServerStreamingServer[api.Event]) error {
	c, err := s.container(r.Container)
	if err != nil {
		return err
	}
	return failed(c.group.WatchOOM(to.Context(), func(kills int) error {
		return to.Send(&api.Event{OomKills: uint64(kills)})
	}))
}
