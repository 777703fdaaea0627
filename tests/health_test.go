package tests

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestHealth checks servers by HTTP, TCP and a command, from within their
// machine.
func TestHealth(t *testing.T) {
	a := shared(t)
	events := a.command(t.Context(), "docker", "events", "--filter", "event=health_status", "--format", "{{.Actor.Attributes.name}} {{.Action}}")
	said := &lockedBuffer{}
	events.Stdout = said
	must(t, events.Start())
	defer func() {
		events.Process.Kill()
		events.Wait()
	}()
	quick := []string{"--health-interval", "300ms", "--health-start-interval", "300ms", "--health-retries", "2"}
	run := func(name string, args ...string) {
		a.ok("skerry", append(append([]string{"run", "-d", "--name", name}, quick...), args...)...)
		t.Cleanup(func() { a.ok("skerry", "rm", "-f", name) })
	}
	run("h-http", "--health-http", "8080/ready", testImage, "sh", "-c", "mkdir /www; echo yes > /www/ready; httpd -f -p 8080 -h /www")
	run("h-cmd", "--health-cmd", "test -e /works && echo it works", testImage, "sh", "-c", "sleep 1; touch /works; sleep 300")
	run("h-tcp", "--health-tcp", "81", testImage, "sleep", "300")
	status := func(name, want string) {
		t.Helper()
		a.eventually(name+" is "+want, func() error {
			if out := strings.TrimSpace(a.ok("skerry", "inspect", "-f", "{{.State.Health.Status}}", name)); out != want {
				return fmt.Errorf("it is %s", out)
			}
			return nil
		})
	}
	status("h-http", "healthy")
	status("h-cmd", "healthy")
	status("h-tcp", "unhealthy")
	if out := a.ok("docker", "ps", "--filter", "health=healthy", "--filter", "name=h-http", "--format", "{{.Status}}"); !strings.HasSuffix(out, "(healthy)\n") {
		t.Errorf("ps: %q", out)
	}
	var health struct {
		FailingStreak int
		Log           []struct {
			Start, End time.Time
			ExitCode   int
			Output     string
		}
	}
	must(t, json.Unmarshal([]byte(a.ok("docker", "inspect", "-f", "{{json .State.Health}}", "h-cmd")), &health))
	if n := len(health.Log); n == 0 || n > 5 || health.Log[n-1].Output != "it works\n" || health.Log[n-1].End.Before(health.Log[n-1].Start) {
		t.Errorf("the results: %+v", health)
	}
	a.ok("skerry", "exec", "h-http", "rm", "/www/ready")
	status("h-http", "unhealthy")
	if out := a.ok("skerry", "inspect", "-f", "{{json .State.Health.Log}}", "h-http"); !strings.Contains(out, "404 Not Found") {
		t.Errorf("the answer is not told: %s", out)
	}
	// A program that hangs is stopped, and nothing of it stays.
	a.ok("skerry", "exec", "h-cmd", "sh", "-c", "rm /works")
	status("h-cmd", "unhealthy")
	a.eventually("the events have come", func() error { return has(said.String(), "h-http health_status: unhealthy") })
	for _, want := range []string{"h-http health_status: healthy", "h-cmd health_status: healthy", "h-tcp health_status: unhealthy"} {
		if err := has(said.String(), want); err != nil {
			t.Error(err)
		}
	}
	run("h-slow", "--health-cmd", "sleep 100", "--health-timeout", "300ms", testImage, "sleep", "300")
	status("h-slow", "unhealthy")
	a.eventually("what took too long is gone", func() error {
		if out := a.ok("skerry", "exec", "h-slow", "sh", "-c", "ps -o args | grep -c '^sleep 100'; true"); out != "0\n" && out != "1\n" {
			return fmt.Errorf("%s are left", out)
		}
		return nil
	})
	a.fails(2, "one of them is enough", "skerry", "create", "--health-cmd", "x", "--health-tcp", "1", testImage)
	a.fails(1, "is no port", "skerry", "create", "--health-tcp", "x", testImage)
}
