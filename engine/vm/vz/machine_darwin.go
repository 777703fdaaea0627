package vz

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/Code-Hex/vz/v3"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/engine/vm/console"
)

const (
	// startTimeout is how long the framework may take to set a machine up.
	startTimeout = 30 * time.Second
	// stateTimeout is how long it may take to write or read a machine's state.
	stateTimeout = 2 * time.Minute
	// commandTimeout is how long it may take to pause or resume a machine.
	commandTimeout = 10 * time.Second
	// stopTimeout is how long it may take to end a machine.
	stopTimeout = 10 * time.Second
	// stopPause is between two tries to end a machine that is on its way from one
	// state to another.
	stopPause = 10 * time.Millisecond
	// panicGrace is how long a kernel that has panicked may go on to say why. It
	// resets the machine after a second.
	panicGrace = 200 * time.Millisecond
	// idleGrace is how long the end of a machine waits for more of its console.
	idleGrace = 100 * time.Millisecond
	// consoleGrace is how long it waits for a slow console writer.
	consoleGrace = 2 * time.Second
)

var errStopped = errors.New("the machine was stopped")

// machine is one virtual machine of the framework.
type machine struct {
	config   vm.Config
	restored string // the state that it begins with; empty: it boots
	identity *vz.GenericMachineIdentifier
	built    *vz.VirtualMachineConfiguration
	log      *slog.Logger
	life     *life
	vm       *vz.VirtualMachine // must stay reachable: its finalizer ends the machine
	sockets  *socketDevice
	output   *os.File // the end of the console's pipe that is read
	console  *console.Console
	held     []*os.File // what the framework uses without a copy of its own
	disks    []*link    // to the servers of network block devices
	commands sync.Mutex // one Pause, Resume or Stop at a time
}

var _ vm.Machine = (*machine)(nil)

func newMachine(c vm.Config, p plan, log *slog.Logger) (*machine, error) {
	identity, err := newIdentity(p.identity)
	if err != nil {
		return nil, explain(err)
	}
	config, output, held, attachments, err := configure(p, identity)
	if err != nil {
		return nil, err
	}
	m := &machine{config: c, identity: identity, built: config, log: log, life: newLife(), output: output, held: held}
	if p.restore != "" {
		if err := checkSaving(config); err != nil {
			closeAll(append(held, output))
			return nil, err
		}
		m.restored = filepath.Join(p.restore, stateName)
	}
	if m.vm, err = vz.NewVirtualMachine(config); err != nil {
		closeAll(append(held, output))
		return nil, explain(err)
	}
	if m.sockets, err = newSocketDevice(m.vm, m.life.done); err != nil {
		closeAll(append(held, output))
		return nil, err
	}
	m.console = console.Carry(output, c.Console)
	go m.watch()
	for _, a := range attachments {
		m.disks = append(m.disks, a.link)
	}
	for _, a := range attachments {
		go m.follow(a)
	}
	return m, nil
}

// watch ends the machine when it has ended by itself, or its kernel has
// panicked. It is the only reader of the state channel, which hands each state
// to one reader alone and is never closed.
func (m *machine) watch() {
	states, panicked, disconnected := m.vm.StateChangedNotify(), m.console.Panicked(), m.disconnected()
	var over <-chan time.Time
	for {
		select {
		case s := <-states:
			switch s {
			case vz.VirtualMachineStateStopped:
				m.finish(false)
			case vz.VirtualMachineStateError:
				m.finish(true)
			}
		case d := <-disconnected:
			// Only a new machine gets it back.
			m.log.Error("a network interface has lost its network", "error", explain(d.Err))
		case <-panicked:
			panicked, over = nil, time.After(panicGrace)
		case <-over:
			if err := m.halt(context.Background()); err != nil {
				m.log.Error("end a machine that has panicked", "error", err)
			}
		case <-m.life.done:
			return
		}
	}
}

// disconnected tells when an interface on a network of the host's has lost it. The
// far side of others is in this process (engine/network/port.go), and outlives the
// machine.
func (m *machine) disconnected() <-chan *vz.DisconnectedError {
	if !slices.ContainsFunc(m.config.NICs, func(n vm.NIC) bool { return n.Host != "" }) {
		return nil
	}
	lost, err := m.vm.NetworkDeviceAttachmentWasDisconnected()
	if err != nil {
		m.log.Warn("whether a network is lost will not be known", "error", explain(err))
	}
	return lost
}

// finish releases what a machine has that has ended.
func (m *machine) finish(failed bool) {
	m.release(closeAll, func() error {
		return ending{disk: unmade(m.disks), failed: failed, panic: m.console.Panic(), last: m.console.Last()}.err()
	})
}

// abandoned are the files of machines that the framework has not ended. To close
// a descriptor under one would have it use whatever gets that number next.
var abandoned sync.Map // *vz.VirtualMachine -> []*os.File

// abandon keeps files open that a machine may still use.
func (m *machine) abandon(files []*os.File) { abandoned.Store(m.vm, files) }

// release gives back what the machine has, once: the files that the framework
// holds with letGo. The reason of the end is asked for when the console has been
// read.
func (m *machine) release(letGo func([]*os.File), reason func() error) {
	if !m.life.end() {
		return
	}
	letGo(m.held)
	m.sockets.close()
	// What the machine printed is in the pipe; whoever else has its other end
	// may keep it open.
	m.output.SetReadDeadline(time.Now().Add(idleGrace))
	select {
	case <-m.console.Done():
	case <-time.After(consoleGrace):
	}
	if err := reason(); err != nil {
		m.life.over(m.wrap(err))
	} else {
		m.life.over(nil)
	}
}

// Start implements vm.Machine.
func (m *machine) Start(ctx context.Context) error {
	if err := m.life.begin(); err != nil {
		return m.wrap(err)
	}
	timeout := startTimeout
	if m.restored != "" {
		timeout = stateTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("the framework has not started it in %v", timeout))
	defer cancel()
	if ctx.Err() != nil {
		return m.fail(closeAll, context.Cause(ctx))
	}
	err := call(ctx, m.begin)
	switch {
	case err == nil && !m.life.isStopping():
		return nil
	case err == nil:
		err = errStopped
	case ctx.Err() == nil:
		return m.fail(closeAll, err) // the framework has tried
	}
	// It runs, or may come to.
	if herr := m.halt(context.WithoutCancel(ctx)); herr != nil {
		m.log.Error("end a machine whose start has failed", "error", herr)
		return m.fail(m.abandon, err)
	}
	return m.fail(closeAll, err)
}

// begin boots the machine, or brings it back paused.
func (m *machine) begin() error {
	if m.restored != "" {
		return restoreState(m.vm, m.restored)
	}
	return m.vm.Start()
}

// fail ends a machine whose start has failed.
func (m *machine) fail(letGo func([]*os.File), err error) error {
	err = fmt.Errorf("start: %w", blame(err, m.disks))
	m.release(letGo, func() error { return err })
	<-m.life.done
	return m.wrap(err)
}

// call runs one of vz's functions, which know no context. A late result is not
// waited for.
func call(ctx context.Context, f func() error) error {
	result := make(chan error, 1)
	go func() { result <- f() }()
	select {
	case err := <-result:
		if err != nil {
			return explain(err)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Pause implements vm.Machine.
func (m *machine) Pause(ctx context.Context) error { return m.command(ctx, "pause", m.vm.Pause) }

// Resume implements vm.Machine.
func (m *machine) Resume(ctx context.Context) error { return m.command(ctx, "resume", m.vm.Resume) }

// Save implements vm.Machine.
func (m *machine) Save(ctx context.Context, dir string) error {
	m.commands.Lock()
	defer m.commands.Unlock()
	if err := m.save(ctx, dir); err != nil {
		return m.wrap(fmt.Errorf("save: %w", err))
	}
	return nil
}

func (m *machine) save(ctx context.Context, dir string) error {
	if err := m.life.up(); err != nil {
		return err
	}
	if err := checkSaving(m.built); err != nil {
		return err
	}
	saved, err := vm.Describe(m.config, driverName)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, stateTimeout, fmt.Errorf("the framework has not done it in %v", stateTimeout))
	defer cancel()
	return vm.WriteSaved(dir, saved, func(dir string) error {
		if err := os.WriteFile(filepath.Join(dir, identityName), m.identity.DataRepresentation(), 0o600); err != nil {
			return err
		}
		// It refuses a machine that is not paused.
		return call(ctx, func() error { return saveState(m.vm, filepath.Join(dir, stateName)) })
	})
}

func (m *machine) command(ctx context.Context, name string, f func() error) error {
	m.commands.Lock()
	defer m.commands.Unlock()
	if err := m.life.up(); err != nil {
		return m.wrap(fmt.Errorf("%s: %w", name, err))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, commandTimeout, fmt.Errorf("the framework has not done it in %v", commandTimeout))
	defer cancel()
	if err := call(ctx, f); err != nil {
		return m.wrap(fmt.Errorf("%s: %w", name, err))
	}
	return nil
}

// Stop implements vm.Machine.
func (m *machine) Stop(ctx context.Context) error {
	if !m.life.stop() {
		m.release(closeAll, func() error { return nil })
	} else if err := m.halt(ctx); err != nil {
		return m.wrap(fmt.Errorf("stop: %w", err))
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	select {
	case <-m.life.done:
		return nil
	case <-ctx.Done():
		return m.wrap(fmt.Errorf("stop: %w", context.Cause(ctx)))
	}
}

// halt ends a started machine as pulling the plug does. There is no asking
// before: who wants that asks the guest's agent, and nothing in the guest listens
// to the power button that the framework could press (requestStop). While a
// machine starts or changes its state the framework refuses; it is asked again
// until the machine has ended.
func (m *machine) halt(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stopTimeout, fmt.Errorf("the framework has not ended it in %v", stopTimeout))
	defer cancel()
	m.commands.Lock()
	defer m.commands.Unlock()
	for {
		select {
		case <-m.life.done:
			return nil
		default:
		}
		err := call(ctx, m.vm.Stop)
		if err == nil {
			m.finish(false)
			return nil
		}
		var why failure
		if !errors.As(err, &why) || !why.transient() {
			return err
		}
		select {
		case <-m.life.done:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(stopPause):
		}
	}
}

// Done implements vm.Machine.
func (m *machine) Done() <-chan struct{} { return m.life.done }

// Err implements vm.Machine.
func (m *machine) Err() error { return m.life.reason() }

// Listen implements vm.Machine.
func (m *machine) Listen(port uint32) (net.Listener, error) {
	l, err := m.sockets.listen(port)
	if err != nil {
		return nil, m.wrap(err)
	}
	return l, nil
}

// Dial implements vm.Machine.
func (m *machine) Dial(ctx context.Context, port uint32) (vm.Conn, error) {
	c, err := m.sockets.guest().dial(ctx, port)
	if err != nil {
		return nil, m.wrap(err)
	}
	return c, nil
}

func (m *machine) wrap(err error) error { return fmt.Errorf("machine %s: %w", m.config.Name, err) }
