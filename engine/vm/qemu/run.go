//go:build linux

package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/engine/vhostuser"
	"github.com/skerry-app/skerry/engine/vm/console"
)

const (
	// consoleGrace is how long the end of a machine waits for a slow console
	// writer to take the rest.
	consoleGrace = 2 * time.Second
	// exitGrace is how long QEMU may take to end after it has closed its
	// sockets.
	exitGrace = time.Second
)

// run is one QEMU process and this process's ends of its sockets. A machine has
// one, or more when the first found that the driver has to concede something.
type run struct {
	accel   string
	proc    *process
	qmp     *qmp
	console *console.Console
	served  sync.WaitGroup // the front-ends of the devices in this process

	mu     sync.Mutex
	reason string // of the SHUTDOWN event
	fault  error  // why this process ended QEMU, if it did
	paused bool   // Pause was called: a STOP event is no surprise
}

// startError says that QEMU ended before the machine ran.
type startError struct {
	accel, words, exit string
}

func (e *startError) Error() string {
	if e.words == "" {
		return fmt.Sprintf("QEMU (%s) ended at once: %s", e.accel, e.exit)
	}
	return fmt.Sprintf("QEMU (%s) ended at once: %s", e.accel, e.words)
}

// mentions says whether QEMU complained about something.
func (e *startError) mentions(what string) bool {
	return strings.Contains(strings.ToLower(e.words), what)
}

// launch starts QEMU. The machine begins to run when QEMU has set it up; ready
// tells when that is.
func (m *Machine) launch(accel string) (*run, error) {
	var ends channels
	var own []net.Conn
	fail := func(err error) (*run, error) {
		ends.close()
		for _, c := range own {
			c.Close()
		}
		return nil, err
	}
	wanted := []**os.File{&ends.qmp, &ends.console, &ends.vsock}
	if m.shares != nil {
		wanted = append(wanted, &ends.shares)
	}
	for _, end := range wanted {
		ours, theirs, err := vhostuser.Socketpair()
		if err != nil {
			return fail(err)
		}
		own, *end = append(own, ours), theirs
	}
	proc, err := startProcess(m.driver.binary, m.commandLine(accel, ends))
	if err != nil {
		return fail(err)
	}
	ends.close()
	r := &run{accel: accel, proc: proc}
	r.qmp = newQMP(own[0], r.event)
	r.console = console.Carry(own[1], m.config.Console)
	r.serve("vsock", own[2], m.vsock.Serve)
	if m.shares != nil {
		r.serve("shared directories'", own[3], m.shares.device.Serve)
	}
	return r, nil
}

// serve answers QEMU for a device.
func (r *run) serve(device string, conn net.Conn, serve func(*net.UnixConn) error) {
	r.served.Go(func() {
		if err := serve(conn.(*net.UnixConn)); err != nil {
			r.end(fmt.Errorf("serve the %s device: %w", device, err))
		}
	})
}

func (e *channels) close() {
	for _, f := range []*os.File{e.qmp, e.console, e.vsock, e.shares} {
		if f != nil {
			f.Close()
		}
	}
}

// ready waits until the machine runs. After an error nothing is left of it.
func (r *run) ready(ctx context.Context) error {
	err := r.qmp.handshake(ctx)
	if err == nil {
		return nil
	}
	if errors.Is(err, errQMPClosed) { // most likely because QEMU ends, and its own reason is better
		select {
		case <-r.proc.exited:
		case <-time.After(exitGrace):
			r.end(err)
		}
	} else {
		r.end(fmt.Errorf("wait for QEMU to set the machine up: %w", err))
	}
	r.wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault != nil {
		return r.fault
	}
	return &startError{accel: r.accel, words: r.proc.words(), exit: r.proc.state().String()}
}

// event handles an event of QEMU.
func (r *run) event(e qmpEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case e.Event == "SHUTDOWN":
		r.reason = e.Data.Reason
	case e.Event == "STOP" && !r.paused && r.reason == "":
		// Nobody asked for it: the virtual CPUs cannot go on.
		r.fault = fmt.Errorf("QEMU (%s) stopped the virtual CPUs", r.accel)
		r.proc.kill()
	}
}

// end kills QEMU for a reason that the machine's Err will give.
func (r *run) end(fault error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault == nil {
		r.fault = fault
	}
	r.proc.kill()
}

// wait returns when QEMU has ended and nothing is left of it here.
func (r *run) wait() {
	<-r.proc.exited
	<-r.qmp.done
	r.served.Wait()
	select {
	case <-r.console.Done():
	case <-time.After(consoleGrace):
	}
}

// result says why the run ended: nil when the guest has powered off.
func (r *run) result() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	signal := r.proc.signal()
	switch {
	case r.fault != nil:
		return withLines(r.fault, r.proc.words())
	case signal != 0:
		return withLines(fmt.Errorf("QEMU was ended by signal %q", unix.SignalName(signal)), r.proc.words())
	case r.proc.err != nil:
		return withLines(fmt.Errorf("QEMU failed: %w", r.proc.err), r.proc.words())
	}
	switch r.reason {
	case "guest-shutdown":
		return nil
	case "guest-reset":
		if lines := r.console.Panic(); lines != "" {
			return withLines(errors.New("the guest's kernel panicked"), lines)
		}
		return withLines(errors.New("the guest reset itself"), r.console.Last())
	}
	return withLines(fmt.Errorf("QEMU ended, reason %q", r.reason), r.proc.words())
}

// withLines adds what somebody printed to an error.
func withLines(err error, lines string) error {
	if lines == "" {
		return err
	}
	return fmt.Errorf("%w:\n%s", err, lines)
}

func (r *run) setPaused(paused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paused = paused
}
