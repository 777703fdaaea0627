package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/app/api"
	"github.com/skerry-app/skerry/app/desktop"
	"github.com/skerry-app/skerry/app/home"
	"github.com/skerry-app/skerry/app/login"
	"github.com/skerry-app/skerry/app/menu"
	"github.com/skerry-app/skerry/app/project"
	"github.com/skerry-app/skerry/app/project/skerryfile"
	"github.com/skerry-app/skerry/engine"
	"github.com/skerry-app/skerry/registry"
)

// pullInterval is the time between two looks at pulls, while there are any.
const pullInterval = 500 * time.Millisecond

// tray connects the menu with the engine and its projects.
type tray struct {
	engine   *engine.Engine
	projects *project.Manager
	alerts   *alerts
	settings skerryfile.Settings
	home     home.Dir
	quit     func()
	log      *slog.Logger
	changed  chan struct{} // a token: something may have changed
	looked   looked
}

// run shows the menu until ctx ends, in the main goroutine as macOS wants.
func (t *tray) run(ctx context.Context) {
	var work sync.WaitGroup
	work.Go(func() { t.watch(ctx) })
	menu.Run(ctx, menu.Options{Snapshot: t.snapshot, Changed: t.changed, Opened: func() { t.look(ctx) }, Do: t.do,
		Terminate: t.terminate, Log: t.log})
	work.Wait()
}

// terminateTimeout is how long containers may take to stop when the user logs
// out. A program that takes longer keeps the Mac from shutting down.
const terminateTimeout = 5 * time.Second

// terminate stops the containers because the process is about to be gone.
// Nothing else that is done at the app's end will be.
func (t *tray) terminate() {
	t.quit()
	ctx, cancel := context.WithTimeout(context.Background(), terminateTimeout)
	defer cancel()
	if err := t.engine.Close(ctx); err != nil {
		t.log.Error("stop containers at the end of the session", "error", err)
	}
}

// watch passes on that there were events. One who fell behind starts again.
func (t *tray) watch(ctx context.Context) {
	tick := time.NewTicker(pullInterval)
	defer tick.Stop()
	events := t.engine.Events(ctx)
	for ctx.Err() == nil {
		t.change()
		var pulling <-chan time.Time // nobody ticks while nothing is pulled
		if len(t.engine.Pulls()) > 0 {
			pulling = tick.C
		}
		select {
		case _, ok := <-events:
			if !ok {
				events = t.engine.Events(ctx)
			}
		case <-pulling:
		}
	}
}

func (t *tray) change() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// do carries out a click.
func (t *tray) do(ctx context.Context, a menu.Action) error {
	err := t.act(ctx, a)
	if err != nil && ctx.Err() == nil && !errors.Is(err, desktop.ErrCancelled) {
		t.alerts.show(ctx, fmt.Sprintf("Could not %s", a.Verb), err.Error())
	}
	return err
}

func (t *tray) act(ctx context.Context, a menu.Action) error {
	switch a.Verb {
	case menu.Start, menu.Stop, menu.ForceStop, menu.Restart, menu.Remove:
		return t.container(ctx, a)
	case menu.StartProject, menu.StopProject, menu.RestartProject, menu.ApplyProject, menu.RemoveProject,
		menu.StartProjectAtLogin, menu.NoStartProjectAtLogin, menu.OpenProject:
		return t.project(ctx, a)
	case menu.AskAndPull, menu.PullImage, menu.CancelPull, menu.RemoveUnused:
		return t.image(ctx, a)
	case menu.EditFile:
		return desktop.EditAt(a.Target, a.Line)
	case menu.ShowFolder:
		return desktop.ShowFolder(a.Target)
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
	case menu.ApproveLogin:
		return login.OpenSettings()
	case menu.InstallRosetta:
		defer t.look(ctx)
		return t.engine.InstallRosetta(ctx)
	case menu.Settings:
		return t.editSettings()
	case menu.Doctor:
		return t.terminal("doctor")
	case menu.Diagnostics:
		return desktop.Copy(t.diagnostics(ctx))
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
	case menu.ForceStop:
		err = c.Kill(ctx, "")
	case menu.Restart:
		err = c.Restart(ctx, "", nil)
	case menu.Remove:
		err = c.Remove(ctx, engine.RemoveOptions{Volumes: true})
	}
	if errdefs.IsNotModified(err) {
		return nil
	}
	return err
}

func (t *tray) project(ctx context.Context, a menu.Action) error {
	quietly := func(api.ProjectProgress) {}
	switch a.Verb {
	case menu.StartProject:
		return t.projects.Start(ctx, a.Target)
	case menu.StopProject:
		return t.projects.Stop(ctx, a.Target)
	case menu.RestartProject:
		return t.projects.Restart(ctx, a.Target)
	case menu.ApplyProject:
		return t.projects.Apply(ctx, a.Target, quietly)
	case menu.StartProjectAtLogin, menu.NoStartProjectAtLogin:
		return t.projects.SetStartAtLogin(a.Target, a.Verb == menu.StartProjectAtLogin)
	case menu.RemoveProject:
		if err := t.projects.Down(ctx, api.ProjectRequest{File: a.Target}, quietly); err != nil {
			return err
		}
		return t.projects.Forget(a.Target)
	default: // OpenProject
		file, err := desktop.PickFile(ctx, "Open a Project File")
		if err != nil {
			return err
		}
		return t.projects.Open(file)
	}
}

func (t *tray) image(ctx context.Context, a menu.Action) error {
	switch a.Verb {
	case menu.CancelPull:
		t.engine.CancelPull(a.Target)
		return nil
	case menu.RemoveUnused:
		_, _, err := t.engine.RemoveUnusedImages(ctx, true)
		return err
	case menu.AskAndPull:
		name, err := desktop.Ask(ctx, "Pull an Image", "Name of the image, such as postgres:17")
		if err != nil {
			return err
		}
		a.Target = name
	}
	begun := time.Now()
	if _, err := t.engine.Pull(ctx, a.Target, registry.PullOptions{}); err != nil {
		return err
	}
	if time.Since(begun) > longPull {
		t.alerts.show(ctx, "Image Pulled", a.Target)
	}
	return nil
}

// terminal runs skerry in a new terminal.
func (t *tray) terminal(args ...string) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	return desktop.Terminal(t.settings.Terminal, []string{"SKERRY_HOME=" + string(t.home)}, append([]string{program}, args...))
}

// settingsText is what a new file of settings begins with.
const settingsText = `# What the app should be like; without a key, it is as said here. Read when the app starts.
# cpus = 2                       # of a container that does not say
# memory = "512m"                # of a container that does not say
# disk = "16g"                   # that a container that does not say may write
# subnets = ["10.201.0.0/16"]    # that networks take their addresses from
# terminal = "alacritty -e"      # that Open Terminal uses, on Linux
# registry_mirrors = { "registry.example.com" = ["mirror.example.com/hub"] }   # asked before it
# start_at_login = true
`

// editSettings opens the file of settings, and makes one where there is none.
func (t *tray) editSettings() error {
	f, err := os.OpenFile(t.home.Settings(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(settingsText)
		err = errors.Join(err, f.Close())
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make the file of settings: %w", err)
	}
	return desktop.Edit(t.home.Settings())
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
