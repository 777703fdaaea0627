package project

import (
	"context"
	"fmt"
	"strings"

	"github.com/skerry-app/skerry/app/project/skerryfile"
	"github.com/skerry-app/skerry/engine"
)

// need is what must be so of another container before one starts.
type need struct {
	name      string // in the project
	condition skerryfile.Condition
}

// formatNeeds writes needs for a label: "db,job=completed".
func formatNeeds(needs []need) string {
	words := make([]string, len(needs))
	for i, n := range needs {
		words[i] = n.name
		if n.condition != skerryfile.ConditionDefault {
			words[i] += "=" + string(n.condition)
		}
	}
	return strings.Join(words, ",")
}

func parseNeeds(text string) []need {
	if text == "" {
		return nil
	}
	var needs []need
	for word := range strings.SplitSeq(text, ",") {
		name, condition, _ := strings.Cut(word, "=")
		needs = append(needs, need{name, skerryfile.Condition(condition)})
	}
	return needs
}

// await waits until a container that has been started is as it must be.
func await(ctx context.Context, c Container, n need, say func(status, detail string)) error {
	state := c.Snapshot().State
	switch n.condition {
	case skerryfile.ConditionStarted:
		return nil
	case skerryfile.ConditionCompleted:
		say("waiting", "until "+n.name+" has completed")
		return awaitCompleted(ctx, c, n.name)
	case skerryfile.ConditionHealthy:
		if state.Health == nil {
			return fmt.Errorf("%s has no health check to wait for: give it one, or depend on its being started", n.name)
		}
	default:
		if state.Health == nil {
			return nil
		}
	}
	if state.Health.Status != engine.HealthHealthy {
		say("waiting", "until "+n.name+" is healthy")
	}
	return awaitHealthy(ctx, c, n.name)
}

func awaitCompleted(ctx context.Context, c Container, name string) error {
	var state engine.State
	err := c.Until(ctx, func(s engine.State) bool {
		state = s
		return s.Status == engine.StatusExited || s.Status == engine.StatusDead
	})
	switch {
	case err != nil:
		return fmt.Errorf("wait until %s has completed: %w", name, err)
	case state.ExitCode == 0 && state.Error == "":
		return nil
	case state.Error != "":
		return fmt.Errorf("%s did not complete: %s", name, state.Error)
	}
	return fmt.Errorf("%s did not complete: it ended with exit status %d", name, state.ExitCode)
}

func awaitHealthy(ctx context.Context, c Container, name string) error {
	var state engine.State
	err := c.Until(ctx, func(s engine.State) bool {
		state = s
		if s.Status.Alive() {
			return s.Health == nil || s.Health.Status == engine.HealthHealthy || s.Health.Status == engine.HealthUnhealthy
		}
		return s.Status != engine.StatusRestarting
	})
	switch {
	case err != nil:
		return fmt.Errorf("wait until %s is healthy: %w", name, err)
	case !state.Status.Alive():
		return fmt.Errorf("%s ended with exit status %d before it was healthy", name, state.ExitCode)
	case state.Health != nil && state.Health.Status == engine.HealthUnhealthy:
		return fmt.Errorf("%s is unhealthy: %s", name, lastResult(state.Health))
	}
	return nil
}

// lastResult is the end of what the last check has said, in one line.
func lastResult(h *engine.Health) string {
	if len(h.Log) == 0 {
		return "no check has answered"
	}
	last := h.Log[len(h.Log)-1]
	said := strings.Join(strings.Fields(last.Output), " ")
	if said == "" {
		return fmt.Sprintf("its check ended with exit status %d", last.ExitCode)
	}
	const most = 200
	return "its check says " + said[max(0, len(said)-most):]
}
