package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/distribution/reference"

	"github.com/skerry-app/skerry/app/api"
	"github.com/skerry-app/skerry/app/desktop"
	"github.com/skerry-app/skerry/app/label"
	"github.com/skerry-app/skerry/app/login"
	"github.com/skerry-app/skerry/app/menu"
	"github.com/skerry-app/skerry/app/project"
	"github.com/skerry-app/skerry/engine"
)

// lookTimeout bounds what is looked at when the menu is opened.
const lookTimeout = 5 * time.Second

// looked is what is found out when the menu is opened, because it costs.
type looked struct {
	mu        sync.Mutex
	memory    map[string]int64 // in use, by container
	clipboard string           // the image that it names
	rosetta   bool             // containers would be faster with it
}

// look finds out what costs, and has the menu show it.
func (t *tray) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	var all sync.WaitGroup
	memory := map[string]int64{}
	for _, c := range t.engine.Containers() {
		if c.Snapshot().State.Status != engine.StatusRunning {
			continue
		}
		all.Go(func() {
			stats, err := c.Stats(ctx)
			if err != nil {
				return // it has just ended, or does not answer: the menu goes without
			}
			t.looked.mu.Lock()
			defer t.looked.mu.Unlock()
			memory[c.ID()] = int64(stats.Memory.Usage)
		})
	}
	clipboard, rosetta := imageName(desktop.Paste(ctx)), t.engine.RosettaWanted()
	all.Wait()
	t.looked.mu.Lock()
	t.looked.memory, t.looked.clipboard, t.looked.rosetta = memory, clipboard, rosetta
	t.looked.mu.Unlock()
	t.change()
}

// imageName is the text if it names an image of a registry and cannot be
// anything else, as most words are.
func imageName(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > 255 || !strings.ContainsAny(text, ":/") || strings.Contains(text, "//") {
		return ""
	}
	if _, err := reference.ParseNormalizedNamed(text); err != nil {
		return ""
	}
	return text
}

// snapshot is what the menu shows.
func (t *tray) snapshot() menu.Snapshot {
	var s menu.Snapshot
	t.looked.mu.Lock()
	memory := t.looked.memory
	s.Clipboard, s.WantsRosetta = t.looked.clipboard, t.looked.rosetta
	t.looked.mu.Unlock()
	for _, c := range t.engine.Containers() {
		if snap := c.Snapshot(); snap.Spec.Labels[label.File] == "" {
			s.Containers = append(s.Containers, menuContainer(snap, memory[snap.ID]))
		}
	}
	for _, p := range t.projects.Projects() {
		s.Projects = append(s.Projects, menuProject(p, memory))
	}
	for _, p := range t.engine.Pulls() {
		s.Pulls = append(s.Pulls, menu.Pull{Image: p.Image, Received: p.Received, Expected: p.Expected})
	}
	t.addImages(&s)
	state, err := login.Get()
	if err != nil {
		t.log.Warn("menu: read the login item", "error", err)
	}
	s.StartsAtLogin, s.NeedsApproval = state == login.On, state == login.NeedsApproval
	return s
}

func (t *tray) addImages(s *menu.Snapshot) {
	images, err := t.engine.Images().Images()
	if err != nil {
		t.log.Warn("menu: list images", "error", err)
	}
	for _, image := range images {
		name := image.ID.Encoded()[:12]
		if len(image.Names) > 0 {
			name = image.Names[0]
		}
		s.Images = append(s.Images, menu.Image{Name: name, Size: image.Size})
	}
	slices.SortFunc(s.Images, func(a, b menu.Image) int { return cmp.Compare(a.Name, b.Name) })
	s.ImagesSize = t.engine.Images().Size()
	unused, size, err := t.engine.UnusedImages()
	if err != nil {
		t.log.Warn("menu: list unused images", "error", err)
	}
	s.Unused, s.UnusedSize = len(unused), size
}

func menuProject(p project.Status, memory map[string]int64) menu.Project {
	to := menu.Project{Name: p.Name, File: p.File, Problems: len(p.Problems), StartAtLogin: p.StartAtLogin}
	for _, c := range p.Containers {
		to.Containers = append(to.Containers, menuContainer(c, memory[c.ID]))
	}
	for _, name := range p.Absent {
		to.Containers = append(to.Containers, menu.Container{Name: name})
	}
	switch {
	case len(p.Problems) > 0:
		to.Problem, to.ProblemLine = p.Problems[0].Message, p.Problems[0].Line
	case p.Unreadable != nil:
		to.Problem = p.Unreadable.Error()
	}
	verbs := map[api.ProjectAction]string{api.ProjectCreate: "adds", api.ProjectRestart: "restarts", api.ProjectUpdate: "updates", api.ProjectRemove: "removes"}
	for _, change := range p.Changes {
		to.Changes = append(to.Changes, verbs[change.Action]+" "+change.Container)
	}
	return to
}

func menuContainer(s engine.Snapshot, used int64) menu.Container {
	c := menu.Container{
		ID: s.ID, Name: s.Name, FullName: s.Name,
		Status: string(s.State.Status), ExitCode: s.State.ExitCode, Error: s.State.Error, RestartAt: s.State.RestartAt,
		Used: used, Memory: cmp.Or(s.Spec.Memory, engine.DefaultMemory),
		URL: webAddress(s),
	}
	if h := s.State.Health; h != nil {
		c.Health, c.Streak = string(h.Status), h.FailingStreak
		if s.Spec.Health != nil {
			c.Retries = s.Spec.Health.Retries
		}
	}
	if name := s.Spec.Labels[label.Container]; name != "" {
		c.Name = name
	}
	if s.Endpoint != nil {
		c.Address = s.Endpoint.Address.Addr().String()
	}
	return c
}

// webPorts are the ports that web servers use, the likeliest first.
var webPorts = []uint16{80, 8080, 3000, 5173, 8000}

// webAddress is where the container's web page is published: at the port that
// its label names, else at the first that looks like it.
func webAddress(s engine.Snapshot) string {
	web := s.Spec.Labels[label.WebPort]
	var best *engine.Port
	rank := func(b *engine.Port) int {
		if i := slices.Index(webPorts, b.Container); i >= 0 {
			return i
		}
		return len(webPorts)
	}
	for i, b := range s.Bindings {
		switch {
		case b.Protocol != "tcp" || web != "" && web != strconv.Itoa(int(b.Container)):
		case best == nil || rank(&b) < rank(best):
			best = &s.Bindings[i]
		}
	}
	if best == nil {
		return ""
	}
	host := "localhost"
	if best.HostIP.IsValid() && !best.HostIP.IsLoopback() && !best.HostIP.IsUnspecified() {
		host = best.HostIP.String()
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(int(best.HostPort)))
}

// diagnostics are what a report of a problem needs: versions, what the host
// offers, states of containers; no environment, no names of images.
func (t *tray) diagnostics(ctx context.Context) string {
	var b strings.Builder
	info := t.engine.Info()
	fmt.Fprintf(&b, "Skerry %s\ndriver %s\n%d CPUs, %d MiB of memory\n", info.Version, info.Driver, info.CPUs, info.Memory>>20)
	for _, f := range t.engine.Check(ctx) {
		mark := "ok"
		if !f.OK {
			mark = "PROBLEM"
		}
		fmt.Fprintf(&b, "%s: %s: %s %s\n", mark, f.Subject, f.Detail, f.Fix)
	}
	for _, c := range t.engine.Containers() {
		s := c.Snapshot()
		fmt.Fprintf(&b, "container %s: %s, exit status %d, %d restarts", s.ID[:12], s.State.Status, s.State.ExitCode, s.State.Restarts)
		if s.State.Error != "" {
			fmt.Fprintf(&b, ", %s", s.State.Error)
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}
