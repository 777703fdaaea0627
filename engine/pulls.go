package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/skerry-app/skerry/registry"
)

// Pull is an image on its way from a registry.
type Pull struct {
	Image              string // as it was asked for
	Begun              time.Time
	Received, Expected int64 // bytes; Expected is 0 while it is not known
}

// errCancelled is why a pull ends that somebody did not want any more.
var errCancelled = errors.New("the pull was cancelled")

// pulls are those under way.
type pulls struct {
	mu  sync.Mutex
	all []*pull
}

type pull struct {
	Pull
	cancel context.CancelCauseFunc
}

// begin notes a pull and has its progress noted, until ended is called.
func (p *pulls) begin(ctx context.Context, image string, o *registry.PullOptions) (_ context.Context, ended func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	one := &pull{Pull{Image: image, Begun: time.Now()}, cancel}
	hear := o.Progress
	o.Progress = func(now registry.Progress) {
		p.mu.Lock()
		one.Received, one.Expected = now.Received, now.Expected
		p.mu.Unlock()
		if hear != nil {
			hear(now)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, one)
	return ctx, func() {
		cancel(nil)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.all = slices.DeleteFunc(p.all, func(o *pull) bool { return o == one })
	}
}

// Pulls lists the pulls that are under way, by image.
func (e *Engine) Pulls() []Pull {
	e.pulls.mu.Lock()
	defer e.pulls.mu.Unlock()
	var all []Pull
	for _, p := range e.pulls.all {
		all = append(all, p.Pull)
	}
	slices.SortStableFunc(all, func(a, b Pull) int { return strings.Compare(a.Image, b.Image) })
	return all
}

// CancelPull ends the pulls of an image that are under way, whoever asked for
// them.
func (e *Engine) CancelPull(image string) {
	e.pulls.mu.Lock()
	defer e.pulls.mu.Unlock()
	for _, p := range e.pulls.all {
		if p.Image == image {
			p.cancel(errCancelled)
		}
	}
}
