package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/skerry-app/skerry/app/label"
	"github.com/skerry-app/skerry/engine"
)

func TestAlertOf(t *testing.T) {
	shop := engine.Spec{Labels: map[string]string{label.Project: "shop", label.Container: "web"}}
	for _, test := range []struct {
		action     string
		attributes map[string]string
		state      engine.State
		want       string
	}{
		{"die", map[string]string{"unexpected": "true"}, engine.State{ExitCode: 3}, "web has died with exit status 3"},
		{"die", map[string]string{"unexpected": "true"}, engine.State{ExitCode: 125, Error: "the machine ended"}, "web has died: the machine ended"},
		{"die", nil, engine.State{ExitCode: 137}, ""},
		{"start", nil, engine.State{}, ""},
		{"health_status: unhealthy", nil, engine.State{}, "web is unhealthy"},
		{"health_status: healthy", nil, engine.State{}, ""},
		{"give_up", map[string]string{"reason": "crash loop"}, engine.State{}, "web is down: crash loop"},
	} {
		title, text := alertOf(engine.Event{Type: "container", Action: test.action, Attributes: test.attributes}, engine.Snapshot{Name: "shop-web", Spec: shop, State: test.state})
		if text != test.want || text != "" && title != "shop" {
			t.Errorf("%s: %q, %q, want %q", test.action, title, text, test.want)
		}
	}
}

// TestAlertsComeTogether: of many things that happen to a project the first is
// told at once, and the others together a minute later.
func TestAlertsComeTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var said []string
		a := newAlerts(slog.New(slog.DiscardHandler))
		a.notify = func(_ context.Context, title, text string) error {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, title+": "+text)
			return errors.New("nobody shows it")
		}
		heard := func(want ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if diff := cmp.Diff(want, said); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			said = nil
		}
		a.add(t.Context(), "shop", "one")
		heard("shop: one")
		for _, line := range []string{"two", "three", "four", "five", "six", "seven"} {
			a.add(t.Context(), "shop", line)
		}
		a.add(t.Context(), "blog", "other")
		heard("blog: other")
		time.Sleep(alertInterval)
		heard("shop: two\nthree\nfour\nfive\nand 2 more")
		time.Sleep(2 * alertInterval)
		heard()
		a.add(t.Context(), "shop", "again")
		heard("shop: again")
		time.Sleep(2 * alertInterval)
	})
}
