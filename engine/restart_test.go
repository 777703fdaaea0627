package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRestarts(t *testing.T) {
	failed, fine := Exit{Code: 1}, Exit{}
	for _, test := range []struct {
		name   string
		policy RestartPolicy
		exits  []Exit
		ran    time.Duration
		delays []int // seconds
		reason string
	}{
		{"none", RestartPolicy{}, []Exit{failed}, 0, nil, ""},
		{"no", RestartPolicy{Name: RestartNo}, []Exit{failed}, 0, nil, ""},
		{"on-failure, success", RestartPolicy{Name: RestartOnFailure}, []Exit{failed, failed, fine}, 0, []int{1, 2}, ""},
		{"on-failure, bounded", RestartPolicy{RestartOnFailure, 2}, []Exit{failed, failed, failed}, 0, []int{1, 2}, "gave up after 2 restarts"},
		{"bounded, with stable runs", RestartPolicy{RestartOnFailure, 2}, []Exit{failed, failed, failed}, stableRun, []int{1, 1}, "gave up after 2 restarts"},
		{"a bound beyond a crash loop's", RestartPolicy{RestartOnFailure, 12}, again(failed, 13), 0,
			[]int{1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60}, "gave up after 12 restarts"},
		{"a crash loop", RestartPolicy{Name: RestartAlways}, again(fine, 11), stableRun - 1,
			[]int{1, 2, 4, 8, 16, 32, 60, 60, 60, 60}, "crash loop: it was started again 10 times"},
		{"stable", RestartPolicy{Name: RestartUnlessStopped}, again(failed, 12), stableRun, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var s restarts
			var delays []int
			var reason string
			for i, exit := range test.exits {
				delay, more, gaveUp := s.follow(test.policy, exit, test.ran)
				if gaveUp != nil {
					reason = gaveUp.Error()
				}
				if more {
					delays = append(delays, int(delay/time.Second))
				} else if i < len(test.exits)-1 {
					t.Fatalf("end %d was the last", i)
				}
			}
			if diff := cmp.Diff(test.delays, delays); diff != "" {
				t.Errorf("delays (-want +got):\n%s", diff)
			}
			if !strings.HasPrefix(reason, test.reason) || (reason == "") != (test.reason == "") {
				t.Errorf("gave up: %q, want %q", reason, test.reason)
			}
		})
	}
}

func again(exit Exit, n int) []Exit {
	exits := make([]Exit, n)
	for i := range exits {
		exits[i] = exit
	}
	return exits
}

func TestRestartPolicyCheck(t *testing.T) {
	for policy, ok := range map[RestartPolicy]bool{
		{}: true, {Name: "always"}: true, {RestartOnFailure, 3}: true,
		{"always", 3}: false, {Name: "sometimes"}: false, {RestartOnFailure, -1}: false, {MaximumRetryCount: 1}: false,
	} {
		if err := policy.check(false); (err == nil) != ok {
			t.Errorf("%+v: %v", policy, err)
		}
	}
}

// TestRestartingAtTheEnd: what waited for a restart when the app was killed is
// down and wanted.
func TestRestartingAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	plant(t, home(dir), record{ID: "aaaa", Name: "c", Spec: Spec{Restart: RestartPolicy{Name: RestartAlways}},
		State: State{Status: StatusRestarting, Wanted: true, ExitCode: 3, RestartAt: time.Now().Add(time.Hour)}})
	c, err := openEngine(t, dir).Container("c")
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Snapshot().State; s.Status != StatusExited || !s.Wanted || s.ExitCode != 3 {
		t.Errorf("%+v", s)
	}
}
