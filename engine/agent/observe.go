package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/skerry-app/skerry/guest/api"
)

// Statistics tells what the container uses.
func (c *Container) Statistics(ctx context.Context) (*api.StatisticsResponse, error) {
	r, err := c.agent.Statistics(ctx, &api.StatisticsRequest{Container: c.id})
	if err != nil {
		return nil, c.explain(err)
	}
	if err := complete(r); err != nil {
		return nil, fmt.Errorf("the guest's statistics: %w", err)
	}
	return r, nil
}

// complete wants the parts that are never absent; the guest is not believed.
func complete(r *api.StatisticsResponse) error {
	if r.GetCpu() == nil || r.GetMemory() == nil || r.GetPids() == nil {
		return errors.New("processors, memory or processes are missing")
	}
	return r.GetTime().CheckValid()
}

// Probe finds out whether a server in the machine answers on a TCP port, or, when
// a path is given, that path by HTTP; output says why not, and what it answers.
func (c *Client) Probe(ctx context.Context, port uint16, path string) (healthy bool, output string, err error) {
	r, err := c.agent.Probe(ctx, &api.ProbeRequest{Port: uint32(port), HttpPath: path})
	return r.GetHealthy(), r.GetOutput(), c.explain(err)
}

// Events calls handle with what happens in the container until ctx, the
// machine or the agent ends.
func (c *Container) Events(ctx context.Context, handle func(*api.Event)) error {
	stream, err := c.agent.Events(ctx, &api.EventsRequest{Container: c.id})
	for err == nil {
		var e *api.Event
		if e, err = stream.Recv(); err == nil {
			handle(e)
		}
	}
	return c.explain(err)
}
