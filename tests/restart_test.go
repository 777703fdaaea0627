package tests

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestRestart ends processes and looks at what the restart policy makes of it.
func TestRestart(t *testing.T) {
	a := shared(t)
	type inspection struct {
		RestartCount int
		State        struct {
			Status, Error string
			Restarting    bool
			ExitCode      int
		}
	}
	inspect := func(name string) (c inspection) {
		t.Helper()
		must(t, json.Unmarshal([]byte(a.ok("docker", "inspect", "-f", "{{json .}}", name)), &c))
		return c
	}
	settled := func(name, status string) inspection {
		t.Helper()
		a.eventually(name+" is "+status, func() error {
			if c := inspect(name); c.State.Status != status {
				return fmt.Errorf("%+v", c)
			}
			return nil
		})
		return inspect(name)
	}

	// One that always fails is given up, and who follows its output sees all of it.
	a.ok("docker", "run", "-d", "--name", "r-flaky", "--restart", "on-failure:2", testImage, "sh", "-c", "sleep 0.1; echo run >> /runs; wc -l < /runs; exit 3")
	defer a.ok("skerry", "rm", "-f", "r-flaky")
	if logs := a.ok("skerry", "logs", "-f", "r-flaky"); logs != "1\n2\n3\n" {
		t.Errorf("the logs: %q", logs)
	}
	if c := settled("r-flaky", "exited"); c.RestartCount != 2 || c.State.ExitCode != 3 || !strings.Contains(c.State.Error, "gave up after 2 restarts") {
		t.Errorf("given up: %+v", c)
	}
	// Starting it by hand begins anew.
	a.ok("docker", "start", "r-flaky")
	settled("r-flaky", "restarting")
	a.fails(1, "is restarting", "docker", "rm", "r-flaky")
	a.ok("docker", "stop", "r-flaky")
	if c := settled("r-flaky", "exited"); c.RestartCount != 0 || c.State.Restarting {
		t.Errorf("stopped while it waited: %+v", c)
	}

	// A server that ends by itself comes back, one that is stopped does not.
	a.ok("docker", "run", "-d", "--name", "r-server", "--restart", "always", "--stop-signal", "KILL", testImage, "sh", "-c", "until test -e /die; do sleep 0.1; done; rm /die; exit 1")
	defer a.ok("skerry", "rm", "-f", "r-server")
	a.ok("docker", "exec", "r-server", "touch", "/die")
	a.eventually("it was started again", func() error {
		if c := inspect("r-server"); c.RestartCount != 1 || c.State.Status != "running" {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	a.ok("docker", "update", "--restart", "no", "r-server")
	if got := a.ok("skerry", "inspect", "-f", "{{.HostConfig.RestartPolicy.Name}}", "r-server"); got != "no\n" {
		t.Errorf("after update the policy is %q", got)
	}
	a.ok("skerry", "update", "--restart", "unless-stopped", "r-server")
	a.ok("docker", "stop", "r-server")
	if c := settled("r-server", "exited"); c.State.ExitCode != 137 {
		t.Errorf("stopped: %+v", c)
	}
	a.fails(1, "changing a container's limits", "docker", "update", "--memory", "1g", "r-server")
}

// TestUpAgain: what was up when the app ended, in whatever way, is up again with
// the next; what was stopped, or belonged to a client, is not.
func TestUpAgain(t *testing.T) {
	a := startApp(t)
	a.ok("skerry", "pull", testImage)
	quick := []string{"run", "--stop-signal", "KILL", "--name"}
	run := func(name string, args ...string) {
		a.ok("skerry", append(append(quick, name), args...)...)
	}
	run("up", "-d", testImage, "sleep", "1000")
	run("policy", "-d", "--restart", "always", testImage, "sleep", "1000")
	run("stopped", "-d", "--restart", "always", testImage, "sleep", "1000")
	run("ended", "-d", testImage, "true")
	a.ok("skerry", "stop", "stopped")
	a.ok("skerry", "wait", "ended")
	client := a.command(t.Context(), "skerry", append(append([]string{}, quick...), "client", testImage, "sleep", "1000")...)
	must(t, client.Start())
	defer client.Wait()
	a.eventually("the client's container runs", func() error {
		return has(a.ok("skerry", "ps", "--format", "{{.Names}}"), "client")
	})

	again := func(how string) {
		t.Helper()
		a.start()
		a.eventually("what was up is up again after "+how, func() error {
			running := strings.Fields(a.ok("skerry", "ps", "--format", "{{.Names}}"))
			if len(running) != 2 || !strings.Contains(fmt.Sprint(running), "up") || !strings.Contains(fmt.Sprint(running), "policy") {
				return errors.New(fmt.Sprint(running))
			}
			return nil
		})
	}
	a.stop()
	again("a quit")
	a.cmd.Process.Kill()
	<-a.done
	a.eventually("the machines of the killed app are gone", a.noProcess)
	again("a crash")
}
