//go:build linux

package agent_test

import (
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skerry-app/skerry/engine/agent"
	"github.com/skerry-app/skerry/guest/api"
)

// BenchmarkExec runs /bin/true through the agent and by a fork in the machine,
// in turn, and tells what the agent holds before and after: make bench-guest.
func BenchmarkExec(b *testing.B) {
	g := boot(b, bootOptions{image: newImage(b, nil)})
	ctx := b.Context()
	run := func(id string, stdio agent.Stdio, args ...string) (said string) {
		p, err := g.client.CreateProcess(ctx, &api.Process{Id: id, Args: args}, stdio)
		must(b, err)
		must(b, p.Start(ctx))
		if stdio.Stdout {
			text, err := io.ReadAll(p.Stdout)
			must(b, err)
			said = string(text)
		}
		_, err = p.Wait(ctx)
		must(b, err)
		must(b, p.Delete(ctx))
		p.Close()
		return said
	}
	exec := func(id string) { run(id, agent.Stdio{}, "/bin/true") }
	exec("first") // what is made once is there after this
	before, err := g.client.Info(ctx)
	must(b, err)
	var ours, theirs time.Duration
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		exec("loop" + strconv.Itoa(i))
		ours += time.Since(start)
		if i%50 != 0 {
			continue
		}
		b.StopTimer()
		n, err := strconv.ParseInt(strings.TrimSpace(run("forks", agent.Stdio{Stdout: true}, "probe", "forks", "50")), 10, 64)
		must(b, err)
		theirs += time.Duration(n) * 50
		b.StartTimer()
	}
	after, err := g.client.Info(ctx)
	must(b, err)
	b.ReportMetric(float64(ours)/float64(b.N)/(float64(theirs)/float64((b.N+49)/50*50)), "x-fork-and-exec")
	b.Logf("%d execs; the agent's open files %d, then %d; goroutines %d, then %d; resident %.1f MiB, then %.1f MiB", b.N,
		before.OpenFiles, after.OpenFiles, before.Goroutines, after.Goroutines, mebibytes(before.ResidentBytes), mebibytes(after.ResidentBytes))
}

func mebibytes(n uint64) float64 { return float64(n) / (1 << 20) }
