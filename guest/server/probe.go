//go:build linux

package server

import (
	"context"
	"net"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/probe"
)

// Probe implements api.AgentServer.
func (s *Server) Probe(ctx context.Context, r *api.ProbeRequest) (*api.ProbeResponse, error) {
	if r.Port == 0 || r.Port > 1<<16-1 {
		return nil, status.Errorf(codes.InvalidArgument, "probe: %d is no port", r.Port)
	}
	address := net.JoinHostPort(s.forwardAddress(), strconv.Itoa(int(r.Port)))
	answer := &api.ProbeResponse{}
	var err error
	if r.HttpPath == "" {
		err = probe.TCP(ctx, address)
	} else {
		answer.Output, err = probe.HTTP(ctx, address, r.HttpPath)
	}
	if ctx.Err() != nil {
		return nil, failed(ctx.Err())
	}
	if answer.Healthy = err == nil; err != nil {
		answer.Output = err.Error() + "\n" + answer.Output
	}
	return answer, nil
}
