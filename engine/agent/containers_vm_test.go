//go:build linux

package agent_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/skerry-app/skerry/engine/agent"
	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/guest/api"
)

// TestContainers adds containers to a machine in which one runs, and removes
// them.
func TestContainers(t *testing.T) {
	scratch := newScratch(t)
	g := boot(t, bootOptions{image: newImage(t, nil), disks: []vm.Disk{{Path: scratch, Serial: "second"}}})
	second := &guest{machine: g.machine, client: g.client.Client.Container("second")}
	add := func(ctx context.Context, change func(*api.Container)) (*agent.Process, error) {
		spec := configuration().Container
		spec.Root.ScratchDisk = "second"
		if change != nil {
			change(spec)
		}
		return second.client.Create(ctx, spec, agent.Stdio{Stdout: true})
	}
	// Each takes the id and the disk that those before it must have given back.
	for _, test := range []struct {
		change func(*api.Container)
		want   string
	}{
		{func(c *api.Container) { c.Root.ScratchDisk = "other" }, `"other"`},
		{func(c *api.Container) { c.Sysctls = map[string]string{"kernel.nothing": "1"} }, "kernel.nothing"},
		{func(c *api.Container) { c.Mounts = []*api.Mount{{Type: "nofs", Target: "/x"}} }, "nofs"},
		{func(c *api.Container) { c.Devices = []*api.Device{{Source: "/dev/nothing"}} }, "/dev/nothing"},
		{func(c *api.Container) { c.Names = nil }, "names"},
	} {
		if _, err := add(deadline(t), test.change); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("add: %v, want %s", err, test.want)
		}
	}
	// Nobody waits for these, and the host may have learned that late.
	for i := range 8 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*40*time.Millisecond)
		if p, err := add(ctx, nil); err == nil {
			p.Close()
		}
		cancel()
		must(t, second.client.Remove(deadline(t)))
	}
	p, err := add(deadline(t), nil)
	for err != nil && strings.Contains(err.Error(), "already") { // the last of those above is on its end
		p, err = add(deadline(t), nil)
	}
	must(t, err)
	t.Cleanup(p.Close)
	must(t, p.Start(deadline(t)))
	if _, err := add(deadline(t), nil); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("one more of the same id: %v", err)
	}
	second.want(t, "echo mine > /file; hostname", "islet")
	if r := g.shell(t, "cat /file"); r.Code == 0 {
		t.Errorf("a file of the other container: %+v", r)
	}
	for range 2 {
		must(t, second.client.Remove(deadline(t)))
		wantClean(t, scratch)
	}
	if _, err := second.client.List(deadline(t)); err == nil {
		t.Error("a container that was removed is listed")
	}
	g.want(t, "echo goes on", "goes on")
	g.shutDown(t)
}
