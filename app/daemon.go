package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/skerry-app/skerry/app/api"
	"github.com/skerry-app/skerry/app/cli"
	"github.com/skerry-app/skerry/app/menu"
	"github.com/skerry-app/skerry/app/power"
	"github.com/skerry-app/skerry/app/project"
	"github.com/skerry-app/skerry/app/project/skerryfile"
	"github.com/skerry-app/skerry/engine"
)

// closeTimeout bounds how long all containers together may take to stop when
// the app ends.
const closeTimeout = 30 * time.Second

// sleepTimeout bounds how long all machines together may take to pause before
// the computer sleeps, and to go on. macOS waits for 30 seconds.
const sleepTimeout = 10 * time.Second

// runApp is the app: it owns the engine and serves the API until ctx ends or a
// client asks it to quit. Then all containers are stopped.
func runApp(ctx context.Context, o cli.AppOptions) (err error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	settings, err := skerryfile.LoadSettings(o.Home.Settings())
	var mistakes skerryfile.Problems
	if errors.As(err, &mistakes) {
		for _, p := range mistakes {
			log.Error("settings", "problem", p.String())
		}
	} else if err != nil {
		log.Error("settings", "file", o.Home.Settings(), "error", err)
	}

	e, err := openEngine(ctx, o, settings, log)
	if err != nil {
		return err
	}
	defer func() {
		cctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, e.Close(cctx))
	}()
	listener, err := api.Listen(o.Home.Socket())
	if err != nil {
		return err
	}
	t := &tray{engine: e, alerts: newAlerts(log), settings: settings, home: o.Home, quit: quit, log: log, changed: make(chan struct{}, 1)}
	t.projects = project.NewManager(e, project.Options{Book: o.Home.Projects(), Version: version, Log: log, Changed: t.change,
		Broken: func(name, file string, p skerryfile.Problems) { t.alerts.broken(ctx, name, file, p) }})
	var background sync.WaitGroup
	defer background.Wait()
	defer quit()
	background.Go(func() { reportFindings(ctx, e, log) })
	background.Go(func() { t.projects.Run(ctx) })
	background.Go(func() { power.Watch(ctx, onSleep(e), log) })
	server := api.New(e, api.Options{Version: version, Projects: t.projects, Quit: quit, Log: log})
	log.Info("ready", "socket", o.Home.Socket(), "driver", e.Info().Driver)
	if !o.Headless {
		if err := menu.FindDesktop(); err != nil {
			log.Warn("running without a tray", "error", err)
			o.Headless = true
		}
	}
	if o.Headless {
		return server.Serve(ctx, listener)
	}
	if on := settings.StartAtLogin; on != nil {
		if err := startAtLogin(*on); err != nil {
			log.Error("start at login, as the settings say", "error", err)
		}
	}
	background.Go(func() { t.alerts.watch(ctx, e) })
	if len(mistakes) > 0 {
		t.alerts.broken(ctx, "Skerry", o.Home.Settings(), mistakes)
	}
	served := make(chan error, 1)
	go func() {
		defer quit()
		served <- server.Serve(ctx, listener)
	}()
	t.run(ctx)
	return <-served
}

func openEngine(ctx context.Context, o cli.AppOptions, s skerryfile.Settings, log *slog.Logger) (*engine.Engine, error) {
	kernel, err := findKernel()
	if err != nil {
		return nil, err
	}
	init, err := findResource(initImageName)
	if err != nil {
		return nil, err
	}
	driver, err := newDriver(log)
	if err != nil {
		return nil, err
	}
	translators, err := findTranslators()
	if err != nil {
		return nil, err
	}
	e, err := engine.Open(ctx, engine.Options{Translators: translators, Home: string(o.Home), Kernel: kernel, InitImage: init, Driver: driver, Log: log, Version: version,
		Defaults: engine.Defaults{CPUs: s.CPUs, Memory: s.Memory, DiskSize: s.Disk}, RosettaCache: s.RosettaCache, Subnets: s.Subnets, Mirrors: s.Mirrors})
	if err != nil {
		return nil, fmt.Errorf("open the engine: %w", err)
	}
	return e, nil
}

// onSleep has machines sleep and wake with the computer.
func onSleep(e *engine.Engine) power.Handler {
	bounded := func(do func(context.Context)) func() {
		return func() {
			ctx, cancel := context.WithTimeout(context.Background(), sleepTimeout)
			defer cancel()
			do(ctx)
		}
	}
	return power.Handler{Sleep: bounded(e.Suspend), Wake: bounded(e.Wake)}
}

// reportFindings says what is wrong with this host, above all that the program
// is not signed as macOS wants it: without that no container starts. The app
// runs all the same, so that "skerry doctor" has somebody to ask.
func reportFindings(ctx context.Context, e *engine.Engine, log *slog.Logger) {
	for _, f := range e.Check(ctx) {
		if !f.OK {
			log.Warn("this host lacks something", "what", f.Subject, "found", f.Detail, "fix", f.Fix)
		}
	}
}
