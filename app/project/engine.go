package project

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/skerry-app/skerry/engine"
	"github.com/skerry-app/skerry/registry"
)

// Engine is the part of engine.Engine that projects need.
type Engine interface {
	Containers() []Container
	Create(ctx context.Context, s engine.Spec) (Container, error)
	// Image returns the ID of an image that is here, else errdefs.ErrNotFound.
	Image(name string) (digest.Digest, error)
	// Volumes lists all by name.
	Volumes() ([]engine.Volume, error)
	// CreateVolume makes a volume, or returns the one that has the name.
	CreateVolume(engine.Volume) (engine.Volume, error)
	RemoveVolume(name string) error
	// Pull fetches an image; progress gets bytes and may be called from any goroutine.
	Pull(ctx context.Context, name, platform string, progress func(current, total int64)) error
}

// Container is the part of engine.Container that projects need.
type Container interface {
	Snapshot() engine.Snapshot
	Start(ctx context.Context) error
	Resume(ctx context.Context) error
	Stop(ctx context.Context, signal string, timeout *time.Duration) error
	Until(ctx context.Context, cond func(engine.State) bool) error
	Update(engine.Update) error
	Remove(ctx context.Context, o engine.RemoveOptions) error
}

var _ Container = (*engine.Container)(nil)

// realEngine is an engine.Engine as an Engine.
type realEngine struct{ *engine.Engine }

func (e realEngine) Containers() []Container {
	all := e.Engine.Containers()
	containers := make([]Container, len(all))
	for i, c := range all {
		containers[i] = c
	}
	return containers
}

func (e realEngine) Create(ctx context.Context, s engine.Spec) (Container, error) {
	c, err := e.Engine.Create(ctx, s)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (e realEngine) Image(name string) (digest.Digest, error) {
	image, err := e.Images().Image(name)
	if err != nil {
		return "", err
	}
	return image.ID, nil
}

func (e realEngine) Pull(ctx context.Context, name, platform string, progress func(current, total int64)) error {
	_, err := e.Engine.Pull(ctx, name, registry.PullOptions{Platform: platform, Progress: func(p registry.Progress) {
		if p.Expected > 0 {
			progress(p.Received, p.Expected)
		}
	}})
	return err
}
