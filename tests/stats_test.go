package tests

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestStats looks at what is told of a container that keeps a processor busy
// and has received something, as the two clients show it and as the API has it.
func TestStats(t *testing.T) {
	eachClient(t, func(t *testing.T, a *app, client string) {
		name := "busy-" + client
		a.ok(client, "run", "-d", "--name", name, "-m", "96m", testImage, "sh", "-c", "nslookup host.docker.internal; echo up; while :; do :; done")
		a.eventually("it is up", func() error { return has(a.ok(client, "logs", name), "up\n") })
		line := strings.TrimSpace(a.ok(client, "stats", "--no-stream", "--format", "{{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.PIDs}}|{{.NetIO}}", name))
		fields := strings.Split(line, "|")
		if len(fields) != 5 || fields[0] != name || !strings.HasSuffix(fields[2], " / 96MiB") || fields[3] != "1" || strings.HasPrefix(fields[4], "0B") {
			t.Errorf("stats says %q", line)
		}
		if cpu, err := strconv.ParseFloat(strings.TrimSuffix(fields[1], "%"), 64); err != nil || cpu <= 0 {
			t.Errorf("a busy container has %q of a processor", fields[1])
		}
		a.ok(client, "rm", "-f", name)
	})
	a := shared(t)
	id := strings.TrimSpace(a.ok("skerry", "run", "-d", testImage, "sleep", "1000"))
	defer a.ok("skerry", "rm", "-f", id)
	var s struct {
		Read, PreRead time.Time
		CPU           struct {
			Usage struct {
				Total uint64 `json:"total_usage"`
			} `json:"cpu_usage"`
			System uint64 `json:"system_cpu_usage"`
			Online int    `json:"online_cpus"`
		} `json:"cpu_stats"`
		Memory struct {
			Usage, Limit uint64
			Stats        map[string]uint64
		} `json:"memory_stats"`
		Pids struct{ Current int } `json:"pids_stats"`
		IO   struct {
			Bytes []struct {
				Op    string
				Value uint64
			} `json:"io_service_bytes_recursive"`
		} `json:"blkio_stats"`
		Networks map[string]struct {
			Sent uint64 `json:"tx_bytes"`
		}
		Pressure map[string]struct {
			Some struct{ Total *int64 }
		} `json:"skerry_pressure"`
	}
	if err := json.Unmarshal(a.get("/containers/"+id+"/stats?stream=0&one-shot=1"), &s); err != nil {
		t.Fatal(err)
	}
	if s.Read.IsZero() || !s.PreRead.IsZero() || s.CPU.Usage.Total == 0 || s.CPU.System < s.CPU.Usage.Total || s.CPU.Online == 0 ||
		s.Memory.Usage == 0 || s.Memory.Limit < s.Memory.Usage || s.Memory.Stats["anon"] == 0 || s.Pids.Current != 1 || len(s.Networks) != 1 {
		t.Errorf("statistics are %+v", s)
	}
	for _, what := range []string{"cpu", "memory", "io"} {
		if s.Pressure[what].Some.Total == nil {
			t.Errorf("nothing is told of the pressure on %s: %+v", what, s.Pressure)
		}
	}
	a.ok("skerry", "stop", "-t", "0", id)
	a.fails(1, "not running", "skerry", "top", id)
	if line := a.ok("skerry", "stats", "--no-stream", "-a", "--format", "{{.PIDs}} {{.CPUPerc}}", id); line != "0 0.00%\n" {
		t.Errorf("a stopped container uses %q", line)
	}
	covers(t, 13)
}

// TestOutOfMemory has the kernel kill a process that wants more than its
// container may have: the container says so, an event does, and the agent
// lives to tell.
func TestOutOfMemory(t *testing.T) {
	a := shared(t)
	since := time.Now()
	id := strings.TrimSpace(a.ok("skerry", "run", "-d", "-m", "64m", testImage, "sh", "-c", "tail /dev/zero; echo ended with $?; exec sleep 1000"))
	a.eventually("the greedy process is gone", func() error { return has(a.ok("skerry", "logs", id), "ended with 137\n") })
	a.eventually("an event tells", func() error {
		events := a.ok("docker", "events", "--since", stamp(since), "--until", stamp(time.Now()), "--filter", "event=oom", "--format", "{{.Action}} {{.Actor.ID}}")
		return has(events, "oom "+id)
	})
	if out := a.ok("skerry", "exec", id, "echo", "still there"); out != "still there\n" {
		t.Errorf("exec printed %q", out)
	}
	a.ok("skerry", "rm", "-f", id)
	covers(t, 15)
}

func stamp(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }
