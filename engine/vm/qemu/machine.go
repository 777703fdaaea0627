//go:build linux

package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/skerry-app/skerry/engine/vhostuser"
	"github.com/skerry-app/skerry/engine/vm"
)

const (
	// guestCID is the guest's address. The vsock device is the machine's own,
	// so that all guests can have the same.
	guestCID = 3
	// startTimeout is how long QEMU may take to set a machine up.
	startTimeout = 30 * time.Second
	// commandTimeout is how long QEMU may take for a command.
	commandTimeout = 10 * time.Second
	// stopTimeout is how long a killed QEMU may take to be gone.
	stopTimeout = 10 * time.Second
)

var (
	errStarted = errors.New("the machine has been started before")
	errStopped = errors.New("the machine was stopped")
	errNotUp   = errors.New("the machine is not running")
)

// state is where a machine is in its life.
type state int

const (
	created state = iota
	starting
	running
	ended
)

// Machine is one QEMU process. It implements vm.Machine.
type Machine struct {
	driver *Driver
	config vm.Config
	vsock  *vhostuser.Vsock
	shares *shares // nil without
	disks  []backing
	nics   []*os.File
	done   chan struct{}

	commands sync.Mutex // one Pause or Resume at a time

	mu       sync.Mutex
	state    state
	stopping bool // Stop was called
	run      *run // of starting and running
	err      error
}

var _ vm.Machine = (*Machine)(nil)

// newMachine checks a configuration and opens what it names.
func (d *Driver) newMachine(c vm.Config) (*Machine, error) {
	if err := d.checkConfig(&c); err != nil {
		return nil, err
	}
	c.Cmdline, c.Disks, c.NICs, c.Shares = slices.Clone(c.Cmdline), slices.Clone(c.Disks), slices.Clone(c.NICs), slices.Clone(c.Shares)
	log := d.log.With("machine", c.Name)
	disks, err := openDisks(c.Disks)
	if err != nil {
		return nil, err
	}
	nics, err := openNICs(c.NICs)
	if err != nil {
		closeDisks(disks)
		return nil, err
	}
	shares, err := openShares(c.Shares, log)
	if err != nil {
		closeDisks(disks)
		closeFiles(nics)
		return nil, err
	}
	return &Machine{
		driver: d,
		config: c,
		vsock:  vhostuser.NewVsock(guestCID, log),
		shares: shares,
		disks:  disks,
		nics:   nics,
		done:   make(chan struct{}),
	}, nil
}

// Start implements vm.Machine.
func (m *Machine) Start(ctx context.Context) error {
	m.mu.Lock()
	if m.state != created {
		m.mu.Unlock()
		return m.wrap(errStarted)
	}
	m.state = starting
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	r, err := m.boot(ctx)
	if err != nil {
		m.finish(err)
		return m.wrap(err)
	}
	go func() {
		r.wait()
		m.finish(r.result())
	}()
	return nil
}

// boot brings up QEMU, without what turns out not to work.
func (m *Machine) boot(ctx context.Context) (*run, error) {
	for {
		accel, _ := m.driver.accelerator()
		r, err := m.launch(accel)
		if err != nil {
			return nil, err
		}
		if !m.adopt(r) {
			r.end(errStopped)
		}
		err = r.ready(ctx)
		if err == nil && m.up() {
			return r, nil
		}
		if err == nil { // Stop came at the last moment
			r.wait()
			return nil, errStopped
		}
		if m.isStopping() {
			return nil, errStopped
		}
		err = m.blameDisk(err)
		if !m.driver.concede(accel, err) {
			return nil, err
		}
	}
}

// adopt makes r the process that Stop kills, unless Stop has been there.
func (m *Machine) adopt(r *run) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.run = r
	return !m.stopping
}

// up makes a starting machine a running one, unless it is being stopped.
func (m *Machine) up() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopping {
		return false
	}
	m.state = running
	return true
}

func (m *Machine) isStopping() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stopping
}

// finish releases all that the machine holds. QEMU has ended.
func (m *Machine) finish(err error) {
	m.vsock.Close()
	m.shares.close()
	closeDisks(m.disks)
	closeFiles(m.nics)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state, m.run = ended, nil
	if err != nil && !m.stopping {
		m.err = m.wrap(err)
	}
	close(m.done)
}

// Stop implements vm.Machine.
func (m *Machine) Stop(ctx context.Context) error {
	m.mu.Lock()
	first := m.state == created
	m.stopping = m.stopping || m.state != ended
	if first {
		m.state = ended
	}
	if m.run != nil {
		m.run.proc.kill()
	}
	m.mu.Unlock()
	if first {
		m.finish(nil)
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	select {
	case <-m.done:
		return nil
	case <-ctx.Done():
		return m.wrap(fmt.Errorf("wait for QEMU to end: %w", ctx.Err()))
	}
}

// Pause implements vm.Machine.
func (m *Machine) Pause(ctx context.Context) error { return m.command(ctx, "stop", true) }

// Resume implements vm.Machine.
func (m *Machine) Resume(ctx context.Context) error { return m.command(ctx, "cont", false) }

// command sends a QMP command to a running machine.
func (m *Machine) command(ctx context.Context, command string, paused bool) error {
	m.commands.Lock()
	defer m.commands.Unlock()
	m.mu.Lock()
	r := m.run
	if m.state != running {
		r = nil
	}
	m.mu.Unlock()
	if r == nil {
		return m.wrap(fmt.Errorf("%s: %w", command, errNotUp))
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	if paused {
		r.setPaused(true)
	}
	if err := r.qmp.execute(ctx, command, nil); err != nil {
		return m.wrap(err)
	}
	r.setPaused(paused)
	return nil
}

// Save implements vm.Machine. QEMU's devices that another process serves, which
// vsock and shared directories are here, have no state that it could save
// (.unmigratable in hw/virtio/vhost-user-vsock.c and vhost-user-fs.c).
func (m *Machine) Save(context.Context, string) error {
	return m.wrap(fmt.Errorf("%w: QEMU has no way to save its vsock device", vm.ErrNotSavable))
}

// Listen implements vm.Machine.
func (m *Machine) Listen(port uint32) (net.Listener, error) {
	l, err := m.vsock.Listen(port)
	if err != nil {
		return nil, m.wrap(err)
	}
	return l, nil
}

// Dial implements vm.Machine.
func (m *Machine) Dial(ctx context.Context, port uint32) (vm.Conn, error) {
	c, err := m.vsock.Dial(ctx, port)
	if err != nil {
		return nil, m.wrap(err)
	}
	return c, nil
}

// Done implements vm.Machine.
func (m *Machine) Done() <-chan struct{} { return m.done }

// Err implements vm.Machine.
func (m *Machine) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

func (m *Machine) wrap(err error) error { return fmt.Errorf("machine %s: %w", m.config.Name, err) }
