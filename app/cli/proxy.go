package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/moby/moby/client"
)

// proxied are the signals that are meant for the container rather than for the
// command line, with the names that the API takes: their numbers differ
// between macOS and Linux. Left out are those that the runtime and the kernel
// send for their own purposes (CHLD, URG, PIPE), the window's size, which has a
// way of its own, and job control, so that Ctrl-Z still gives the shell back.
var proxied = map[os.Signal]string{
	syscall.SIGHUP:  "HUP",
	syscall.SIGINT:  "INT",
	syscall.SIGQUIT: "QUIT",
	syscall.SIGABRT: "ABRT",
	syscall.SIGUSR1: "USR1",
	syscall.SIGUSR2: "USR2",
	syscall.SIGALRM: "ALRM",
	syscall.SIGTERM: "TERM",
}

const (
	// insist is how many SIGINT or SIGTERM it takes to leave a container that
	// does not react, as with docker. The container goes on.
	insist = 3
	// killTimeout bounds the request that passes a signal on.
	killTimeout = 10 * time.Second
)

// signalProxy hands the signals that come in to a container.
type signalProxy struct {
	incoming chan os.Signal
	started  chan struct{}
	pending  []os.Signal // came in before the container could take them
}

// catchSignals takes over the signals from the command line itself.
func (c *CLI) catchSignals() *signalProxy {
	p := &signalProxy{incoming: make(chan os.Signal, 64), started: make(chan struct{})}
	for s := range proxied {
		signal.Notify(p.incoming, s)
	}
	c.releaseInterrupts()
	return p
}

// forward passes signals on until ctx ends. What comes in before start is
// called waits for it. At the insist-th SIGINT or SIGTERM it calls leave.
func (p *signalProxy) forward(ctx context.Context, leave func(), send func(context.Context, os.Signal)) {
	started, wishes := p.started, 0
	for {
		select {
		case s := <-p.incoming:
			if s == syscall.SIGINT || s == syscall.SIGTERM {
				if wishes++; wishes == insist {
					leave()
					return
				}
			}
			if started != nil {
				p.pending = append(p.pending, s)
				continue
			}
			send(ctx, s)
		case <-started:
			started = nil
			for _, s := range p.pending {
				send(ctx, s)
			}
		case <-ctx.Done():
			return
		}
	}
}

// start says that the container can take signals from now on.
func (p *signalProxy) start() { close(p.started) }

func (p *signalProxy) stop() { signal.Stop(p.incoming) }

// handSignals makes interrupts the container's business when proxy says so:
// the returned context then ends only when the user insists. The container
// gets its signals once started is called; done ends it all.
func (c *CLI) handSignals(ctx context.Context, api client.APIClient, id string, proxy bool) (_ context.Context, started, done func()) {
	if !proxy {
		return ctx, func() {}, func() {}
	}
	ctx, leave := context.WithCancelCause(context.WithoutCancel(ctx))
	p := c.catchSignals()
	go p.forward(ctx, func() { leave(errInsisted) }, c.sender(api, id))
	return ctx, p.start, func() { p.stop(); leave(nil) }
}

var errInsisted = statusError{exitInterrupted, errors.New("left at the third interrupt; the container goes on running")}

// sender passes one signal on to a container.
func (c *CLI) sender(api client.APIClient, id string) func(context.Context, os.Signal) {
	return func(ctx context.Context, s os.Signal) {
		ctx, cancel := context.WithTimeout(ctx, killTimeout)
		defer cancel()
		_, err := api.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: proxied[s]})
		if err != nil && ctx.Err() == nil {
			c.note(fmt.Errorf("pass %v on to the container: %w", s, err))
		}
	}
}
