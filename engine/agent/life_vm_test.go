//go:build linux

package agent_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skerry-app/skerry/engine/agent"
	"github.com/skerry-app/skerry/guest/api"
)

func (g *guest) testDelete(t *testing.T) {
	ctx := deadline(t)
	p := g.start(t, &api.Process{Args: []string{"sleep", "1000"}}, agent.Stdio{Stdout: true})
	if err := p.Delete(ctx); err == nil || !strings.Contains(err.Error(), "still runs") {
		t.Errorf("delete while it runs: %v", err)
	}
	must(t, p.Signal(ctx, 9, false))
	_, err := p.Wait(ctx)
	must(t, err)
	for range 3 {
		must(t, p.Delete(ctx))
	}
	if _, err := p.Wait(ctx); err == nil || !strings.Contains(err.Error(), "no such process") {
		t.Errorf("wait after delete: %v", err)
	}
	unstarted := g.create(t, &api.Process{Args: []string{"true"}}, agent.Stdio{Stdin: true, Stdout: true})
	must(t, unstarted.Delete(ctx))
	must(t, unstarted.Delete(ctx))
	if err := unstarted.Start(ctx); err == nil {
		t.Error("a deleted process was started")
	}
	twice := g.start(t, &api.Process{Args: []string{"true"}}, agent.Stdio{})
	if err := twice.Start(ctx); err == nil || !strings.Contains(err.Error(), "started before") {
		t.Errorf("second start: %v", err)
	}
	failed := g.create(t, &api.Process{Args: []string{"no-such-program"}}, agent.Stdio{})
	if err := failed.Start(ctx); err == nil {
		t.Error("it started")
	}
	must(t, failed.Delete(ctx)) // at once: nothing of it runs any more
}

func (g *guest) testWait(t *testing.T) {
	p := g.start(t, &api.Process{Args: []string{"sh", "-c", "sleep 0.3; exit 9"}}, agent.Stdio{})
	ctx := deadline(t)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if e, err := p.Wait(ctx); err != nil || e.Code != 9 {
				t.Errorf("%+v %v", e, err)
			}
		})
	}
	wg.Wait()
	if e, err := p.Wait(ctx); err != nil || e.Code != 9 {
		t.Errorf("after the end: %+v %v", e, err)
	}
}

// testConcurrentUse creates, signals and deletes one name at once: whatever
// each gets for an answer, vminitd goes on.
func (g *guest) testConcurrentUse(t *testing.T) {
	ctx := deadline(t)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			p, err := g.client.CreateProcess(ctx, &api.Process{Id: "shared", Args: []string{"true"}}, agent.Stdio{Stdout: true})
			if err != nil {
				return
			}
			p.Signal(ctx, 15, false)
			p.Resize(ctx, 1, 1)
			p.Delete(ctx)
			p.Stdout.Close()
		})
		wg.Go(func() { g.client.Process("shared").Delete(ctx) })
		wg.Go(func() { g.client.Process("shared").Start(ctx) })
		wg.Go(func() { g.client.Process("shared").Signal(ctx, 9, false) })
	}
	wg.Wait()
	g.want(t, "echo alive", "alive")
}

// testOrphans wants processes that lost their parents collected, and those
// that ended with nobody waiting.
func (g *guest) testOrphans(t *testing.T) {
	g.shell(t, "for i in 1 2 3 4 5; do (sleep 0.2 &); done")
	ctx := deadline(t)
	for {
		r := g.shell(t, "grep -l 'State:.*zombie' /proc/[0-9]*/status; grep -l '^Name:.*sleep' /proc/[0-9]*/status | wc -l")
		if r.out == "1\n" { // the first process's own
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("left: %s", r.out)
		}
	}
}

func (g *guest) testList(t *testing.T) {
	p := g.start(t, &api.Process{Args: []string{"sleep", "777"}, User: "anna"}, agent.Stdio{})
	list, err := g.client.List(deadline(t))
	must(t, err)
	var first, mine *api.ProcessInfo
	for _, info := range list {
		if info.Pid == 1 {
			first = info
		}
		if info.Command == "sleep 777" {
			mine = info
		}
	}
	if first == nil || mine == nil {
		t.Fatalf("list: %v", list)
	}
	if mine.User != "1000" || mine.Pid != int32(p.Pid()) || mine.Pid <= 1 || mine.RssBytes == 0 {
		t.Errorf("process: %v, pid %d", mine, p.Pid())
	}
	if age := time.Since(mine.StartedAt.AsTime()); age < -time.Minute || age > time.Minute {
		t.Errorf("started %v ago", age)
	}
	if first.User != "0" || !strings.HasPrefix(first.Command, "sh -c") {
		t.Errorf("first process: %v", first)
	}
}

func (g *guest) testSignalAll(t *testing.T) {
	p := g.start(t, &api.Process{Args: []string{"sh", "-c", "trap 'exit 21' USR1; echo ready; while :; do sleep 0.1; done"}}, agent.Stdio{Stdout: true})
	b := make([]byte, 6)
	if _, err := p.Stdout.Read(b); err != nil {
		t.Fatal(err)
	}
	// The first process has no handler: as the first of its namespace it is
	// spared.
	must(t, p.Signal(deadline(t), 10, true))
	if e, err := p.Wait(deadline(t)); err != nil || e.Code != 21 {
		t.Errorf("%+v %v", e, err)
	}
	g.want(t, "echo alive", "alive")
}

// testLeaks runs many processes and wants nothing of them left in vminitd.
func (g *guest) testLeaks(t *testing.T) {
	const processes, slack = 300, 8
	count := func() (files, goroutines uint32) {
		t.Helper()
		// What goes on after a process's end, such as the closing of its
		// streams, may take a moment.
		for last := uint32(0); ; {
			i, err := g.client.Info(deadline(t))
			must(t, err)
			if i.OpenFiles+i.Goroutines == last {
				return i.OpenFiles, i.Goroutines
			}
			last = i.OpenFiles + i.Goroutines
			time.Sleep(200 * time.Millisecond)
		}
	}
	ctx := deadline(t)
	one := func(i int) {
		p, err := g.client.CreateProcess(ctx, &api.Process{Id: "leak" + strconv.Itoa(i), Args: []string{"true"}, Terminal: i%3 == 0},
			agent.Stdio{Stdin: true, Stdout: true, Stderr: i%3 != 0})
		must(t, err)
		if i%5 != 0 {
			must(t, p.Start(ctx))
			_, err = p.Wait(ctx)
			must(t, err)
		}
		must(t, p.Delete(ctx))
		p.Close()
	}
	for i := range 10 { // what is made once is there after this
		one(i)
	}
	files, goroutines := count()
	for i := range processes {
		one(i)
	}
	if f, g := count(); f > files+slack || g > goroutines+slack {
		t.Errorf("open files grew from %d to %d, goroutines from %d to %d", files, f, goroutines, g)
	}
}

// testFrozenTooLong has nobody thaw a file system: after its time it goes on by
// itself.
func (g *guest) testFrozenTooLong(t *testing.T) {
	ctx := deadline(t)
	must(t, g.client.FreezeFiles(ctx, "/", 2*time.Second))
	writer := g.start(t, &api.Process{Args: []string{"sh", "-c", "echo it goes on > /thawed"}}, agent.Stdio{})
	exit, err := writer.Wait(ctx)
	must(t, err)
	if exit.Code != 0 {
		t.Errorf("the writer: %+v", exit)
	}
	g.want(t, "cat /thawed", "it goes on")
	if err := g.client.ThawFiles(ctx, "/"); err == nil {
		t.Error("it was still frozen, or is thawed twice")
	}
}
