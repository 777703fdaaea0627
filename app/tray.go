package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"

	"github.com/containerd/errdefs"
	"golang.org/x/sync/errgroup"

	"github.com/skerry-app/skerry/app/desktop"
	"github.com/skerry-app/skerry/app/home"
	"github.com/skerry-app/skerry/app/label"
	"github.com/skerry-app/skerry/app/login"
	"github.com/skerry-app/skerry/app/menu"
	"github.com/skerry-app/skerry/app/project"
	"github.com/skerry-app/skerry/engine"
)

// tray connects the menu and the engine.
type tray struct {
	engine   *engine.Engine
	projects *project.Manager
	home     home.Dir
	quit     func()
	log      *slog.Logger
	changed  chan struct{} // a token: something may have changed
}

func newTray(e *engine.Engine, dir home.Dir, quit func(), log *slog.Logger) *tray {
	return &tray{engine: e, home: dir, quit: quit, log: log, changed: make(chan struct{}, 1)}
}

// run shows the menu until ctx ends, in the main goroutine as macOS wants.
func (t *tray) run(ctx context.Context) {
	go t.watch(ctx)
	menu.Run(ctx, menu.Options{Snapshot: t.snapshot, Changed: t.changed, Do: t.do, Log: t.log})
}

// watch passes on that there were events. One who fell behind starts again.
func (t *tray) watch(ctx context.Context) {
	for ctx.Err() == nil {
		for events := t.engine.Events(ctx); ; {
			t.change()
			if _, ok := <-events; !ok {
				break
			}
		}
	}
}

func (t *tray) change() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

func (t *tray) snapshot() menu.Snapshot {
	var s menu.Snapshot
	for _, c := range t.engine.Containers() {
		s.Containers = append(s.Containers, menuContainer(c.Snapshot()))
	}
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
	state, err := login.Get()
	if err != nil {
		t.log.Warn("menu: read the login item", "error", err)
	}
	s.StartsAtLogin = state == login.On
	return s
}

func menuContainer(s engine.Snapshot) menu.Container {
	c := menu.Container{
		ID: s.ID, Name: s.Name, Project: s.Spec.Labels[label.Project], File: s.Spec.Labels[label.File],
		Status: string(s.State.Status), ExitCode: s.State.ExitCode, Error: s.State.Error,
		Memory: cmp.Or(s.Spec.Memory, engine.DefaultMemory),
		URL:    webAddress(s),
	}
	if c.Project != "" {
		c.Name = s.Spec.Labels[label.Container]
	}
	if s.Endpoint != nil {
		c.Address = s.Endpoint.Address.Addr().String()
	}
	return c
}

// webAddress is where the container's web page is published: at the port that
// its label names, else at the first.
func webAddress(s engine.Snapshot) string {
	web := s.Spec.Labels[label.WebPort]
	for _, b := range s.Bindings {
		if b.Protocol != "tcp" || web != "" && web != strconv.Itoa(int(b.Container)) {
			continue
		}
		host := "localhost"
		if b.HostIP.IsValid() && !b.HostIP.IsLoopback() && !b.HostIP.IsUnspecified() {
			host = b.HostIP.String()
		}
		return "http://" + net.JoinHostPort(host, strconv.Itoa(int(b.HostPort)))
	}
	return ""
}

// do carries out a click.
func (t *tray) do(ctx context.Context, a menu.Action) error {
	switch a.Verb {
	case menu.StartProject:
		return t.each(a.Target, func(c *engine.Container) error { return c.Start(ctx) })
	case menu.StopProject:
		return t.each(a.Target, func(c *engine.Container) error { return c.Stop(ctx, "", nil) })
	case menu.Start, menu.Stop, menu.Restart:
		return t.container(ctx, a)
	case menu.EditFile:
		return desktop.Edit(a.Target)
	case menu.OpenURL:
		return desktop.Open(a.Target)
	case menu.OpenTerminal:
		return t.terminal("exec", "-it", a.Target, "sh", "-c", "command -v bash >/dev/null && exec bash; exec sh")
	case menu.ViewLogs:
		return t.terminal("logs", "-f", a.Target)
	case menu.Copy:
		return desktop.Copy(a.Target)
	case menu.StartAtLogin, menu.NoStartAtLogin:
		defer t.change()
		return startAtLogin(a.Verb == menu.StartAtLogin)
	case menu.Doctor:
		return t.terminal("doctor")
	case menu.ShowLog:
		return desktop.Edit(t.home.AppLog())
	case menu.Quit:
		t.quit()
		return nil
	}
	return fmt.Errorf("nobody knows how to %s", a.Verb)
}

func (t *tray) container(ctx context.Context, a menu.Action) error {
	c, err := t.engine.Container(a.Target)
	if err != nil {
		return err
	}
	switch a.Verb {
	case menu.Start:
		err = c.Start(ctx)
	case menu.Stop:
		err = c.Stop(ctx, "", nil)
	case menu.Restart:
		err = c.Restart(ctx, "", nil)
	}
	if errdefs.IsNotModified(err) {
		return nil
	}
	return err
}

// each does something to all containers of a project file at once.
func (t *tray) each(file string, do func(*engine.Container) error) error {
	containers := t.engine.Containers()
	var all errgroup.Group
	failures := make([]error, len(containers))
	for i, c := range containers {
		s := c.Snapshot()
		if s.Spec.Labels[label.File] != file {
			continue
		}
		all.Go(func() error {
			if err := do(c); err != nil && !errdefs.IsNotModified(err) {
				failures[i] = fmt.Errorf("container %s: %w", s.Name, err)
			}
			return nil
		})
	}
	_ = all.Wait() // the failures are kept in their order
	return errors.Join(failures...)
}

// terminal runs skerry in a new terminal.
func (t *tray) terminal(args ...string) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	return desktop.Terminal([]string{"SKERRY_HOME=" + string(t.home)}, append([]string{program}, args...))
}

func startAtLogin(on bool) error {
	if !on {
		return login.Disable()
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	return login.Enable(login.Options{Program: program})
}
