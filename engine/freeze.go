package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/skerry-app/skerry/engine/agent"
)

// freezeLimit is how long a file system stays frozen if nobody thaws it.
const freezeLimit = time.Minute

// FreezeFiles holds up all writing to the file system at a path of the
// container, its root or a volume, so that a copy of its disk is complete and
// clean. After a minute the guest thaws it by itself.
func (c *Container) FreezeFiles(ctx context.Context, path string) error {
	return c.fileSystem("freeze", path, func(g *agent.Container) error { return g.FreezeFiles(ctx, path, freezeLimit) })
}

// ThawFiles lets writing to the file system at a path go on.
func (c *Container) ThawFiles(ctx context.Context, path string) error {
	return c.fileSystem("thaw", path, func(g *agent.Container) error { return g.ThawFiles(ctx, path) })
}

// TrimFiles gives back to the host what the file system at a path does not use,
// and returns how many bytes those are.
func (c *Container) TrimFiles(ctx context.Context, path string) (bytes uint64, err error) {
	err = c.fileSystem("trim", path, func(g *agent.Container) (err error) {
		bytes, err = g.TrimFiles(ctx, path)
		return err
	})
	return bytes, err
}

func (c *Container) fileSystem(what, path string, f func(*agent.Container) error) error {
	r, err := c.needRun()
	if err != nil {
		return err
	}
	if err := c.withRun(r, f); err != nil {
		return fmt.Errorf("%s %s of container %s: %w", what, path, c.name(), err)
	}
	return nil
}
