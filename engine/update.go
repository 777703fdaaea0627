package engine

import (
	"context"
	"maps"

	"github.com/containerd/errdefs"
)

// Update is what can be changed of a container while it runs. Nil leaves what
// there is.
type Update struct {
	Restart *RestartPolicy
	Labels  map[string]string // these get other values; an empty value takes a label away
}

// Update changes the container. What is wrong with it gives
// errdefs.ErrInvalidArgument, and nothing is changed.
func (c *Container) Update(u Update) error {
	if u.Restart != nil {
		if err := u.Restart.check(c.autoRemove()); err != nil {
			return err
		}
	}
	if c.isRemoved() {
		return errdefs.ErrNotFound.WithMessage("No such container: " + c.id)
	}
	c.update(func(rec *record) {
		if u.Restart != nil {
			rec.Updated.Restart = u.Restart
		}
		labels := map[string]string{} // a new one: it is read without the lock
		maps.Copy(labels, rec.Updated.Labels)
		maps.Copy(labels, u.Labels)
		rec.Updated.Labels = labels
	})
	c.event("update", nil)
	return nil
}

// spec is what the container was made from, as it has been updated.
func (rec *record) spec() Spec {
	s := rec.Spec
	if rec.Updated.Restart != nil {
		s.Restart = *rec.Updated.Restart
	}
	if len(rec.Updated.Labels) > 0 {
		s.Labels = maps.Clone(s.Labels)
		if s.Labels == nil {
			s.Labels = map[string]string{}
		}
		maps.Copy(s.Labels, rec.Updated.Labels)
		maps.DeleteFunc(s.Labels, func(_, value string) bool { return value == "" })
	}
	return s
}

// Until waits until cond holds for the container's state. That the container is
// removed meanwhile gives errdefs.ErrNotFound.
func (c *Container) Until(ctx context.Context, cond func(State) bool) error {
	removed := false
	err := c.until(ctx, func() bool {
		removed = c.removed
		return removed || cond(c.rec.State)
	})
	if err == nil && removed {
		return errdefs.ErrNotFound.WithMessage("No such container: " + c.id)
	}
	return err
}
