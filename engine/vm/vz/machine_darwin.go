package vz

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/Code-Hex/vz/v3"

	"github.com/skerry-app/skerry/engine/vm"
)

// stopTimeout bounds how long the framework may take to end a machine.
const stopTimeout = 10 * time.Second

// machine is one virtual machine of the framework.
type machine struct {
	name    string
	log     *slog.Logger
	vm      *vz.VirtualMachine // must stay reachable: its finalizer ends the machine
	sockets *socketDevice
	console *os.File
	held    []*os.File // what the framework uses without a copy of its own

	start   sync.Once
	stopped chan struct{} // closed by Stop
	stop    sync.Once
	done    chan struct{}
	err     error // valid after done
	drained chan struct{}
}

var _ vm.Machine = (*machine)(nil)

func newMachine(c vm.Config, p plan, log *slog.Logger) (*machine, error) {
	config, console, held, err := configure(p)
	if err != nil {
		return nil, err
	}
	m := &machine{name: c.Name, log: log, console: console, held: held,
		stopped: make(chan struct{}), done: make(chan struct{}), drained: make(chan struct{})}
	if m.vm, err = vz.NewVirtualMachine(config); err != nil {
		closeAll(append(held, console))
		return nil, err
	}
	if m.sockets, err = newSocketDevice(m.vm, m.done); err != nil {
		closeAll(append(held, console))
		return nil, err
	}
	go m.drain(c.Console)
	go m.watch()
	return m, nil
}

// drain copies the console until the machine is gone.
func (m *machine) drain(to io.Writer) {
	defer close(m.drained)
	if to == nil {
		to = io.Discard
	}
	if _, err := io.Copy(to, m.console); err != nil && !errors.Is(err, os.ErrClosed) {
		m.log.Debug("read console", "error", err)
	}
}

// watch is the only reader of the state channel, which hands each state to one
// reader alone and is never closed.
func (m *machine) watch() {
	states := m.vm.StateChangedNotify()
	for {
		select {
		case s := <-states:
			switch s {
			case vz.VirtualMachineStateStopped:
				m.end(nil)
				return
			case vz.VirtualMachineStateError:
				// The framework's own words go to the system's log only.
				m.end(errors.New("the machine failed; `log show --last 5m --predicate 'subsystem == \"com.apple.virtualization\"'` has the reason"))
				return
			}
		case <-m.stopped:
			return
		}
	}
}

// end gives back what the machine has.
func (m *machine) end(err error) {
	m.stop.Do(func() {
		m.err = err
		close(m.stopped)
		closeAll(m.held)
		m.console.Close()
		<-m.drained
		m.sockets.close()
		close(m.done)
	})
}

// Start implements vm.Machine.
func (m *machine) Start(ctx context.Context) error {
	err := errors.New("it has been started already")
	m.start.Do(func() { err = call(ctx, func() error { return m.vm.Start() }) })
	if err != nil {
		err = fmt.Errorf("start machine %s: %w", m.name, explain(err))
		m.end(err)
	}
	return err
}

// call runs one of the framework's functions, which know no context. A late
// result is not waited for.
func call(ctx context.Context, f func() error) error {
	result := make(chan error, 1)
	go func() { result <- f() }()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Pause implements vm.Machine.
func (m *machine) Pause(ctx context.Context) error {
	if err := call(ctx, m.vm.Pause); err != nil {
		return fmt.Errorf("pause machine %s: %w", m.name, explain(err))
	}
	return nil
}

// Resume implements vm.Machine.
func (m *machine) Resume(ctx context.Context) error {
	if err := call(ctx, m.vm.Resume); err != nil {
		return fmt.Errorf("resume machine %s: %w", m.name, explain(err))
	}
	return nil
}

// Stop implements vm.Machine.
func (m *machine) Stop(ctx context.Context) error {
	select {
	case <-m.done:
		return nil
	default:
	}
	ctx, cancel := context.WithTimeoutCause(ctx, stopTimeout, errors.New("the framework did not end the machine in "+stopTimeout.String()))
	defer cancel()
	// A machine that is starting refuses; its state changes soon.
	for !m.vm.CanStop() {
		if s := m.vm.State(); s == vz.VirtualMachineStateStopped || s == vz.VirtualMachineStateError {
			m.end(nil)
			return nil
		}
		select {
		case <-m.done:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("stop machine %s: %w", m.name, context.Cause(ctx))
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err := call(ctx, m.vm.Stop); err != nil {
		select {
		case <-m.done: // it ended by itself meanwhile
			return nil
		default:
			return fmt.Errorf("stop machine %s: %w", m.name, explain(err))
		}
	}
	m.end(nil)
	return nil
}

// Done implements vm.Machine.
func (m *machine) Done() <-chan struct{} { return m.done }

// Err implements vm.Machine.
func (m *machine) Err() error {
	select {
	case <-m.done:
		return m.err
	default:
		return nil
	}
}

// Listen implements vm.Machine.
func (m *machine) Listen(port uint32) (net.Listener, error) { return m.sockets.listen(port) }

// Dial implements vm.Machine.
func (m *machine) Dial(ctx context.Context, port uint32) (vm.Conn, error) {
	return m.sockets.dial(ctx, port)
}

// duplicate returns a file of our own for another's descriptor.
func duplicate(f *os.File) (*os.File, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	if cerr := raw.Control(func(p uintptr) {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		if fd, err = syscall.Dup(int(p)); err == nil {
			syscall.CloseOnExec(fd)
		}
	}); cerr != nil {
		return nil, cerr
	}
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}
