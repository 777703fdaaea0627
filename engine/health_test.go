package engine

import (
	"strings"
	"testing"
	"time"
)

// TestHealth puts a container through a start period, its first success, and
// failures on end.
func TestHealth(t *testing.T) {
	check := completeHealth(&HealthCheck{Test: []string{"TCP", "80"}, StartPeriod: time.Minute, Interval: 10 * time.Second, Retries: 2})
	h := startHealth(check)
	for i, step := range []struct {
		age     time.Duration
		code    int
		status  HealthStatus
		streak  int
		changed bool
		wait    time.Duration
	}{
		{5 * time.Second, 1, HealthStarting, 0, false, 5 * time.Second},
		{10 * time.Second, 1, HealthStarting, 0, false, 5 * time.Second},
		{15 * time.Second, 0, HealthHealthy, 0, true, 10 * time.Second},
		{20 * time.Second, 1, HealthHealthy, 1, false, 10 * time.Second}, // it has been healthy: this counts
		{30 * time.Second, 0, HealthHealthy, 0, false, 10 * time.Second},
		{40 * time.Second, 1, HealthHealthy, 1, false, 10 * time.Second},
		{50 * time.Second, -1, HealthUnhealthy, 2, true, 10 * time.Second},
		{60 * time.Second, 1, HealthUnhealthy, 3, false, 10 * time.Second},
		{70 * time.Second, 0, HealthHealthy, 0, true, 10 * time.Second},
	} {
		changed := h.add(HealthResult{ExitCode: step.code}, check, step.age)
		if h.Status != step.status || h.FailingStreak != step.streak || changed != step.changed || h.wait(check, step.age) != step.wait {
			t.Errorf("step %d: %+v, changed %t, next in %v", i, h, changed, h.wait(check, step.age))
		}
	}
	if len(h.Log) != healthKept {
		t.Errorf("%d results are kept", len(h.Log))
	}
	late := startHealth(check)
	late.add(HealthResult{ExitCode: 1}, check, 2*time.Minute)
	if late.FailingStreak != 1 || late.wait(check, 2*time.Minute) != check.Interval {
		t.Errorf("after the start period: %+v", late)
	}
}

func TestCheckHealth(t *testing.T) {
	for want, h := range map[string]*HealthCheck{
		"":                    nil,
		" ":                   {Test: []string{"HTTP", "8080", "/ready"}},
		"  ":                  {Test: []string{"NONE"}},
		"is no test":          {Test: []string{"CMD"}},
		"is no port":          {Test: []string{"TCP", "0"}},
		"\"70000\" is no":     {Test: []string{"HTTP", "70000", "/"}},
		"or has spaces":       {Test: []string{"HTTP", "80", "/a\r\nHost: x"}},
		"begin with a slash":  {Test: []string{"HTTP", "80", "ready"}},
		"less than 1ms":       {Test: []string{"CMD", "true"}, Timeout: 1},
		"-1 retries":          {Test: []string{"CMD", "true"}, Retries: -1},
		"\"CMD-SHELL\" \"a\"": {Test: []string{"CMD-SHELL", "a", "b"}},
	} {
		err := checkHealth(h)
		if strings.TrimSpace(want) == "" {
			if err != nil {
				t.Errorf("%v: %v", h, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if completeHealth(&HealthCheck{Test: []string{"NONE"}}) != nil {
		t.Error("a check that is none is made")
	}
}
