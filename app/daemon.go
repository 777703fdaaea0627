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
	"github.com/skerry-app/skerry/app/project"
	"github.com/skerry-app/skerry/engine"
)

// closeTimeout bounds how long all containers together may take to stop when
// the app ends.
const closeTimeout = 30 * time.Second

// runApp is the app: it owns the engine and serves the API until ctx ends or a
// client asks it to quit. Then all containers are stopped.
func runApp(ctx context.Context, o cli.AppOptions) (err error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	ctx, quit := context.WithCancel(ctx)
	defer quit()

	e, err := openEngine(ctx, o, log)
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
	t := newTray(e, o.Home, quit, log)
	projects := project.NewManager(e, project.Options{Book: o.Home.Projects(), Version: version, Log: log, Changed: t.change})
	t.projects = projects
	var background sync.WaitGroup
	background.Go(func() { projects.Run(ctx) })
	defer background.Wait()
	defer quit()
	server := api.New(e, api.Options{Version: version, Projects: projects, Quit: quit, Log: log})
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
	served := make(chan error, 1)
	go func() {
		defer quit()
		served <- server.Serve(ctx, listener)
	}()
	t.run(ctx)
	return <-served
}

func openEngine(ctx context.Context, o cli.AppOptions, log *slog.Logger) (*engine.Engine, error) {
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
	e, err := engine.Open(ctx, engine.Options{Home: string(o.Home), Kernel: kernel, InitImage: init, Driver: driver, Log: log, Version: version})
	if err != nil {
		return nil, fmt.Errorf("open the engine: %w", err)
	}
	return e, nil
}
