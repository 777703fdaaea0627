package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/skerry-app/skerry/app/power"
	"github.com/skerry-app/skerry/engine"
)

// sleepTimeout is how long machines may take to pause; macOS waits for 30
// seconds and sleeps then.
const sleepTimeout = 10 * time.Second

// followPower has the machines sleep and wake with this Mac.
func followPower(e *engine.Engine, log *slog.Logger) {
	err := power.Watch(power.Handler{
		Sleep: func() {
			ctx, cancel := context.WithTimeout(context.Background(), sleepTimeout)
			defer cancel()
			e.Suspend(ctx)
		},
		Wake: func() {
			ctx, cancel := context.WithTimeout(context.Background(), sleepTimeout)
			defer cancel()
			e.Wake(ctx)
		},
	})
	if err != nil {
		log.Warn("machines are not paused when this Mac sleeps", "error", err)
	}
	if err := power.StayActive("containers run"); err != nil {
		log.Warn("macOS may slow down the app", "error", err)
	}
}
