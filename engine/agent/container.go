package agent

import (
	"context"

	"github.com/skerry-app/skerry/guest/api"
)

// Container is one container in a guest. Its methods may be called from any
// goroutine.
type Container struct {
	*Client
	id string
}

// Container refers to a container by its id.
func (c *Client) Container(id string) *Container { return &Container{c, id} }

// initID is the id of a container's first process.
const initID = "init"

// Configure prepares the machine, without a container.
func (c *Client) Configure(ctx context.Context, r *api.ConfigureRequest) error {
	return c.explain(c.configure(ctx, r))
}

func (c *Client) configure(ctx context.Context, r *api.ConfigureRequest) error {
	answer, err := c.agent.Configure(ctx, r)
	if err == nil {
		c.leased.Store(&answer.Interfaces)
	}
	return err
}

// Configure prepares the machine and in it the container, as r.Container says,
// and returns its first process.
func (c *Container) Configure(ctx context.Context, r *api.ConfigureRequest, io Stdio) (*Process, error) {
	r.Container.Id, r.Container.Process.Id = c.id, initID
	return c.create(ctx, r.Container.Process, io, func(ctx context.Context) error {
		return c.configure(ctx, r)
	})
}

// Create prepares the container in a machine that is configured, and returns its
// first process.
func (c *Container) Create(ctx context.Context, spec *api.Container, io Stdio) (*Process, error) {
	spec.Id, spec.Process.Id = c.id, initID
	return c.create(ctx, spec.Process, io, func(ctx context.Context) error {
		_, err := c.agent.AddContainer(ctx, &api.AddContainerRequest{Container: spec})
		return err
	})
}

// Remove ends the container and flushes its disks. The machine goes on.
func (c *Container) Remove(ctx context.Context) error {
	_, err := c.agent.RemoveContainer(ctx, &api.RemoveContainerRequest{Container: c.id})
	return c.explain(err)
}

// Pause stops all of the container's processes, or lets them go on.
func (c *Container) Pause(ctx context.Context, paused bool) error {
	_, err := c.agent.PauseContainer(ctx, &api.PauseContainerRequest{Container: c.id, Paused: paused})
	return c.explain(err)
}

// List lists the container's processes.
func (c *Container) List(ctx context.Context) ([]*api.ProcessInfo, error) {
	r, err := c.agent.ListProcesses(ctx, &api.ListProcessesRequest{Container: c.id})
	return r.GetProcesses(), c.explain(err)
}
