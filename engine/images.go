package engine

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/skerry-app/skerry/registry"
)

// Images gives access to the image store. Pull, Load, RemoveImage and Tag below
// change it; the engine keeps its disks in step.
func (e *Engine) Images() *registry.Store { return e.images }

// Pull brings an image from its registry and makes its disk while the layers
// arrive, so that the first start need not. Where no platform is asked for it
// is the machines', or one whose programs can be translated.
func (e *Engine) Pull(ctx context.Context, ref string, o registry.PullOptions) (registry.Image, error) {
	if o.Platform == "" {
		o.Platform, o.Others = "linux/"+e.arch(), e.otherPlatforms()
	}
	ctx, ended := e.pulls.begin(ctx, ref, &o)
	e.bus.publish(Event{Type: EventPull, Action: "begin", ID: ref, Name: ref})
	defer func() {
		ended()
		e.bus.publish(Event{Type: EventPull, Action: "end", ID: ref, Name: ref})
	}()
	var id digest.Digest
	o.Unpack = func(ctx context.Context, image digest.Digest, layers []registry.Layer) error {
		id = image
		_, err := e.disks.Make(ctx, image, layers)
		return err
	}
	img, err := e.images.Pull(ctx, ref, o)
	if err != nil {
		if id != "" {
			e.forgetDisk(id)
		}
		if errors.Is(context.Cause(ctx), errCancelled) {
			err = fmt.Errorf("pull %s: %w", ref, errCancelled)
		}
		return img, err
	}
	e.bus.publish(Event{Type: "image", Action: "pull", ID: ref, Name: ref})
	return img, nil
}

// Push brings an image to the registry that its name says and returns the
// digest that it has there.
func (e *Engine) Push(ctx context.Context, ref string, o registry.PushOptions) (digest.Digest, error) {
	d, err := e.images.Push(ctx, ref, o)
	if err != nil {
		return "", err
	}
	e.bus.publish(Event{Type: "image", Action: "push", ID: ref, Name: ref})
	return d, nil
}

// Load brings in the images of an archive. Their disks are made when they are
// needed.
func (e *Engine) Load(ctx context.Context, r io.Reader, o registry.LoadOptions) ([]registry.Loaded, error) {
	loaded, err := e.images.Load(ctx, r, o)
	if err != nil {
		return nil, err
	}
	for _, l := range loaded {
		e.bus.publish(Event{Type: "image", Action: "load", ID: l.ID.String(), Name: l.Name})
	}
	return loaded, nil
}

// Tag gives an image another name.
func (e *Engine) Tag(ctx context.Context, nameOrID, ref string) error {
	if err := e.images.Tag(ctx, nameOrID, ref); err != nil {
		return err
	}
	e.bus.publish(Event{Type: "image", Action: "tag", ID: ref, Name: ref})
	return nil
}

// RemoveImage takes a name off an image and deletes it with its last name. An
// image that a container uses gives errdefs.ErrConflict; force removes it from
// under containers that do not run, which keep their disk.
func (e *Engine) RemoveImage(ctx context.Context, nameOrID string, force bool) ([]registry.Deleted, error) {
	img, err := e.images.Image(nameOrID)
	if err != nil {
		return nil, err
	}
	for _, c := range e.Containers() {
		s := c.Snapshot()
		if s.ImageID != img.ID || len(img.Names) > 1 {
			continue
		}
		if s.State.Status.InUse() || !force {
			return nil, errdefs.ErrConflict.WithMessage(fmt.Sprintf(
				"conflict: image %s is used by %s container %s: remove the container first", nameOrID, s.State.Status, s.ID[:shortID]))
		}
	}
	deleted, err := e.images.Remove(ctx, nameOrID, force)
	if err != nil {
		return nil, err
	}
	e.bus.publish(Event{Type: "image", Action: "delete", ID: img.ID.String(), Name: nameOrID})
	e.forgetDisk(img.ID)
	return deleted, nil
}

// UnusedImages lists the images that no container was made from, and what
// deleting them gives back in bytes.
func (e *Engine) UnusedImages() (unused []registry.Image, size int64, err error) {
	all, err := e.images.Images()
	if err != nil {
		return nil, 0, err
	}
	used := map[digest.Digest]bool{}
	for _, c := range e.Containers() {
		used[c.rec.ImageID] = true
	}
	for _, image := range all {
		if !used[image.ID] {
			unused = append(unused, image)
			size += image.Size
		}
	}
	return unused, size, nil
}

// RemoveUnusedImages deletes the images that no container was made from, those
// with a name only if named is set. It returns what is gone and how many bytes
// that gives back, also when some could not be deleted.
func (e *Engine) RemoveUnusedImages(ctx context.Context, named bool) (gone []registry.Deleted, size int64, err error) {
	unused, _, err := e.UnusedImages()
	if err != nil {
		return nil, 0, err
	}
	var failures []error
	for _, image := range unused {
		if len(image.Names) > 0 && !named {
			continue
		}
		deleted, err := e.RemoveImage(ctx, image.ID.String(), true)
		switch {
		case err == nil:
			gone, size = append(gone, deleted...), size+image.Size
		case !errdefs.IsNotFound(err) && !errdefs.IsConflict(err): // a container has just been made of it, or somebody removed it
			failures = append(failures, err)
		}
	}
	return gone, size, errors.Join(failures...)
}

// forgetDisk deletes an image's disk when neither the store nor a container
// has the image any more.
func (e *Engine) forgetDisk(id digest.Digest) {
	if _, err := e.images.Image(id.String()); err == nil {
		return
	}
	for _, c := range e.Containers() {
		if c.rec.ImageID == id {
			return
		}
	}
	if err := e.disks.Remove(id); err != nil {
		e.log.Warn("delete an image's disk", "image", id, "error", err)
	}
}
