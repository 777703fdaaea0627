package vz

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/Code-Hex/vz/v3"
	"github.com/ebitengine/purego"
	"github.com/ebitengine/purego/objc"

	"github.com/skerry-app/skerry/engine/vm"
)

// This file talks to the framework's vsock device past vz v3.7.1, whose
// connections close the framework's descriptor behind its back (the number may
// belong to another file by then) and know no half-close, and whose listeners
// never wake Accept. Here a descriptor is duplicated and the framework closes
// its own.

// acceptQueue is how many connections may wait for Accept.
const acceptQueue = 128

// socketDevice is a machine's VZVirtioSocketDevice.
type socketDevice struct {
	vm     *vz.VirtualMachine // keeps the objects below alive
	device objc.ID
	queue  uintptr // the machine's serial dispatch queue
	gone   <-chan struct{}
	up     atomic.Bool // there has been a connection

	mu        sync.Mutex
	closed    bool
	listeners map[uint32]*listener
}

func newSocketDevice(machine *vz.VirtualMachine, gone <-chan struct{}) (*socketDevice, error) {
	if err := loadRuntime(); err != nil {
		return nil, err
	}
	devices := machine.SocketDevices()
	if len(devices) != 1 {
		return nil, fmt.Errorf("the machine has %d vsock devices", len(devices))
	}
	device, queue, err := reveal(devices[0])
	if err != nil {
		return nil, err
	}
	return &socketDevice{vm: machine, device: device, queue: queue, gone: gone, listeners: map[uint32]*listener{}}, nil
}

// reveal returns the Objective-C object and the dispatch queue behind vz's value.
func reveal(d *vz.VirtioSocketDevice) (device objc.ID, queue uintptr, err error) {
	if device, err = object(d); err != nil {
		return 0, 0, err
	}
	q := reflect.ValueOf(d).Elem().FieldByName("dispatchQueue")
	if q.Kind() != reflect.UnsafePointer {
		return 0, 0, unknownLayout(d)
	}
	return device, uintptr(q.UnsafePointer()), nil
}

var (
	dispatchAsync func(queue uintptr, block objc.Block)
	listenerClass objc.Class // VZVirtioSocketListener
	delegateClass objc.Class // SkerrySocketDelegate, made below
	runtimeOnce   sync.Once
	runtimeErr    error
)

// loadRuntime finds what is needed of the system's libraries.
func loadRuntime() error {
	runtimeOnce.Do(func() {
		lib, err := purego.Dlopen("/usr/lib/libSystem.B.dylib", purego.RTLD_LAZY|purego.RTLD_GLOBAL)
		if err != nil {
			runtimeErr = fmt.Errorf("load libSystem: %w", err)
			return
		}
		purego.RegisterLibFunc(&dispatchAsync, lib, "dispatch_async")
		if listenerClass = objc.GetClass("VZVirtioSocketListener"); listenerClass == 0 {
			runtimeErr = errors.New("no VZVirtioSocketListener in Virtualization.framework: macOS 11 or newer is needed")
			return
		}
		var protocols []*objc.Protocol
		if p := objc.GetProtocol("VZVirtioSocketListenerDelegate"); p != nil {
			protocols = append(protocols, p)
		}
		delegateClass, runtimeErr = objc.RegisterClass("SkerrySocketDelegate", objc.GetClass("NSObject"), protocols, nil,
			[]objc.MethodDef{{Cmd: objc.RegisterName("listener:shouldAcceptNewConnection:fromSocketDevice:"), Fn: shouldAccept}})
	})
	return runtimeErr
}

// delegates finds the listener that a delegate object belongs to.
var delegates sync.Map // objc.ID -> *listener

// shouldAccept is called by the framework on the machine's queue.
func shouldAccept(self objc.ID, _ objc.SEL, _, connection, _ objc.ID) bool {
	v, ok := delegates.Load(self)
	if !ok {
		return false
	}
	l := v.(*listener)
	c, err := take(connection)
	if err != nil {
		return false
	}
	l.s.up.Store(true)
	return l.offer(c)
}

// take duplicates a VZVirtioSocketConnection's descriptor and closes the
// object's own.
func take(connection objc.ID) (vm.Conn, error) {
	fd, err := duplicateFD(int(objc.Send[int32](connection, objc.RegisterName("fileDescriptor"))))
	connection.Send(objc.RegisterName("close"))
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "vsock")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("vsock connection is a %T", c)
	}
	return u, nil
}

// onQueue has f run on the machine's queue, where the framework wants all calls,
// after what was put there before. It is not waited for: a queue that is stuck
// must not hold up who comes with a context.
func (s *socketDevice) onQueue(f func()) {
	block := objc.NewBlock(func(objc.Block) { f() })
	dispatchAsync(s.queue, block)
	block.Release() // the queue has its own reference
}

// guest is what there is to dial.
func (s *socketDevice) guest() guest { return guest{up: s.up.Load, gone: s.gone, connect: s.connect} }

func (s *socketDevice) connect(ctx context.Context, port uint32) (vm.Conn, error) {
	type result struct {
		conn vm.Conn
		err  error
	}
	results := make(chan result, 1)
	handler := objc.NewBlock(func(_ objc.Block, connection, e objc.ID) {
		if connection == 0 {
			results <- result{nil, describe(e)}
			return
		}
		s.up.Store(true)
		c, err := take(connection)
		results <- result{c, err}
	})
	s.onQueue(func() {
		s.device.Send(objc.RegisterName("connectToPort:completionHandler:"), port, handler)
		handler.Release() // the framework has its own reference
	})
	select {
	case r := <-results:
		return r.conn, r.err
	case <-ctx.Done():
	case <-s.gone:
	}
	go func() { // the answer may come late
		select {
		case r := <-results:
			if r.conn != nil {
				r.conn.Close()
			}
		case <-s.gone:
		}
	}()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return nil, net.ErrClosed
}

// describe returns an NSError as an error.
func describe(e objc.ID) error {
	if e == 0 {
		return errors.New("the framework does not say why")
	}
	text := func(s objc.ID) string { return objc.Send[string](s, objc.RegisterName("UTF8String")) }
	return failure{
		domain: text(e.Send(objc.RegisterName("domain"))),
		code:   objc.Send[int](e, objc.RegisterName("code")),
		text:   text(e.Send(objc.RegisterName("localizedDescription"))),
	}
}

// listener accepts the guest's connections to one port of the host.
type listener struct {
	s        *socketDevice
	port     uint32
	object   objc.ID // VZVirtioSocketListener
	delegate objc.ID // the object above holds it weakly
	queue    chan vm.Conn

	mu     sync.Mutex // guards the sending end of queue
	ended  bool
	closed chan struct{}
}

func (s *socketDevice) listen(port uint32) (net.Listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("listen on vsock port %d: %w", port, net.ErrClosed)
	}
	if s.listeners[port] != nil {
		return nil, fmt.Errorf("listen on vsock port %d: %w", port, syscall.EADDRINUSE)
	}
	l := &listener{s: s, port: port, queue: make(chan vm.Conn, acceptQueue), closed: make(chan struct{}),
		object: objc.ID(listenerClass).Send(objc.RegisterName("new")), delegate: objc.ID(delegateClass).Send(objc.RegisterName("new"))}
	delegates.Store(l.delegate, l)
	l.object.Send(objc.RegisterName("setDelegate:"), l.delegate)
	s.onQueue(func() { s.device.Send(objc.RegisterName("setSocketListener:forPort:"), l.object, port) })
	s.listeners[port] = l
	return l, nil
}

// offer queues a connection for Accept.
func (l *listener) offer(c vm.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		select {
		case l.queue <- c:
			return true
		default:
		}
	}
	c.Close()
	return false
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.closed: // end closes what is still queued
		return nil, fmt.Errorf("accept on vsock port %d: %w", l.port, net.ErrClosed)
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.s.listeners[l.port] == l {
		delete(l.s.listeners, l.port)
		l.end()
	}
	return nil
}

// end wakes Accept and takes the listener off its device, once. The device's lock
// is held, so that who listens on the port next comes after that.
func (l *listener) end() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	close(l.closed)
	delegates.Delete(l.delegate)
	l.s.onQueue(func() {
		l.s.device.Send(objc.RegisterName("removeSocketListenerForPort:"), l.port)
		l.object.Send(objc.RegisterName("release"))
		l.delegate.Send(objc.RegisterName("release"))
	})
	for {
		select {
		case c := <-l.queue:
			c.Close()
		default:
			return
		}
	}
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return address{vm.HostCID, l.port} }

// close ends all listeners with the machine.
func (s *socketDevice) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for port, l := range s.listeners {
		delete(s.listeners, port)
		l.end()
	}
}

// address is a vsock address.
type address struct{ cid, port uint32 }

func (address) Network() string  { return "vsock" }
func (a address) String() string { return fmt.Sprintf("%d:%d", a.cid, a.port) }
