package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/skerry-app/skerry/app/desktop"
	"github.com/skerry-app/skerry/app/label"
	"github.com/skerry-app/skerry/app/project/skerryfile"
	"github.com/skerry-app/skerry/engine"
)

const (
	// alertInterval is the least time between two notifications of one project:
	// what happens meanwhile comes together in the next.
	alertInterval = time.Minute
	// longPull is how long a pull from the menu takes until its end is told.
	longPull = 10 * time.Second
	// maxAlerts is how many lines a notification has.
	maxAlerts = 4
)

// alerts notify the user of what they did not do themselves: a container that has
// died, that is unhealthy, that is not started any more; a project file that has
// broken.
type alerts struct {
	notify func(ctx context.Context, title, text string) error
	log    *slog.Logger

	mu      sync.Mutex
	waiting map[string][]string // lines by title, while the last notification is too young
}

func newAlerts(log *slog.Logger) *alerts {
	return &alerts{notify: desktop.Notify, log: log, waiting: map[string][]string{}}
}

// watch notifies of what happens to containers until ctx ends.
func (a *alerts) watch(ctx context.Context, e *engine.Engine) {
	for ctx.Err() == nil {
		for ev := range e.Events(ctx) { // one who fell behind starts again
			c, err := e.Container(ev.ID)
			if ev.Type != "container" || err != nil {
				continue
			}
			if title, text := alertOf(ev, c.Snapshot()); text != "" {
				a.add(ctx, title, text)
			}
		}
	}
}

// alertOf is what a user is told of an event; nothing of most.
func alertOf(ev engine.Event, s engine.Snapshot) (title, text string) {
	title, name := "Skerry", s.Name
	if p := s.Spec.Labels[label.Project]; p != "" {
		title, name = p, s.Spec.Labels[label.Container]
	}
	switch {
	case ev.Action == "give_up":
		return title, fmt.Sprintf("%s is down: %s", name, ev.Attributes["reason"])
	case ev.Action == "health_status: "+string(engine.HealthUnhealthy):
		return title, name + " is unhealthy"
	case ev.Action == "die" && ev.Attributes["unexpected"] != "":
		if s.State.Error != "" {
			return title, fmt.Sprintf("%s has died: %s", name, s.State.Error)
		}
		return title, fmt.Sprintf("%s has died with exit status %d", name, s.State.ExitCode)
	}
	return "", ""
}

// broken tells that the file of a project that runs has got mistakes.
func (a *alerts) broken(ctx context.Context, name, file string, problems skerryfile.Problems) {
	text := fmt.Sprintf("%s:%d: %s", file, problems[0].Line, problems[0].Message)
	if n := len(problems); n > 1 {
		text = fmt.Sprintf("%d problems, the first: %s", n, text)
	}
	a.add(ctx, name, text)
}

// add notifies at once, or together with others when the last time was a moment
// ago.
func (a *alerts) add(ctx context.Context, title, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if lines, young := a.waiting[title]; young {
		a.waiting[title] = append(lines, text)
		return
	}
	a.waiting[title] = nil
	go a.show(ctx, title, text)
	time.AfterFunc(alertInterval, func() { a.flush(ctx, title) })
}

// flush notifies of what has waited.
func (a *alerts) flush(ctx context.Context, title string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	lines := a.waiting[title]
	if len(lines) == 0 || ctx.Err() != nil {
		delete(a.waiting, title)
		return
	}
	a.waiting[title] = nil
	if more := len(lines) - maxAlerts; more > 0 {
		lines = append(lines[:maxAlerts:maxAlerts], fmt.Sprintf("and %d more", more))
	}
	go a.show(ctx, title, strings.Join(lines, "\n"))
	time.AfterFunc(alertInterval, func() { a.flush(ctx, title) })
}

// show notifies now. A desktop without notifications has the log.
func (a *alerts) show(ctx context.Context, title, text string) {
	a.log.Info("notification", "title", title, "text", text)
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if err := a.notify(ctx, title, text); err != nil && ctx.Err() == nil {
		a.log.Debug("notification", "error", err)
	}
}
