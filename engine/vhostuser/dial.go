//go:build linux

package vhostuser

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
)

// Ports that Dial and Listen(0) pick from, well above those with a meaning.
const (
	firstPort = 0x40000000
	portCount = 0x3fffffff
	anyPort   = ^uint32(0) // VMADDR_PORT_ANY
)

// Addr is a vsock address.
type Addr struct{ CID, Port uint32 }

// Network implements net.Addr.
func (Addr) Network() string { return "vsock" }

func (a Addr) String() string { return fmt.Sprintf("%d:%d", a.CID, a.Port) }

// Dial connects to a port of the guest. It waits for the guest's driver to come
// up; ECONNREFUSED says that nobody listens, net.ErrClosed that the device is
// closed.
func (d *Vsock) Dial(ctx context.Context, port uint32) (*Conn, error) {
	for {
		c, err := d.dial(ctx, port)
		if errors.Is(err, errRestarted) {
			continue // the driver that was asked is not there any more
		}
		if err != nil {
			return nil, &net.OpError{Op: "dial", Net: "vsock", Addr: Addr{uint32(d.cid), port}, Err: err}
		}
		return c, nil
	}
}

func (d *Vsock) dial(ctx context.Context, port uint32) (*Conn, error) {
	c, err := d.request(ctx, port)
	if err != nil {
		return nil, err
	}
	select {
	case <-c.dialed:
	case <-ctx.Done():
		c.Reset()
		return nil, ctx.Err()
	}
	d.b.mu.Lock()
	defer d.b.mu.Unlock()
	if c.err != nil && c.received == 0 && c.peerShut == 0 {
		return nil, c.err
	}
	return c, nil // even if it has ended by now: there may be data to read
}

// request waits for the driver and asks it for a connection.
func (d *Vsock) request(ctx context.Context, port uint32) (*Conn, error) {
	d.b.mu.Lock()
	defer d.b.mu.Unlock()
	for !d.closed && !d.running() {
		changed := d.upChanged
		d.b.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		d.b.mu.Lock()
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	if d.closed {
		return nil, net.ErrClosed
	}
	if len(d.conns) >= maxConns {
		return nil, fmt.Errorf("%d connections are open: %w", len(d.conns), syscall.EMFILE)
	}
	key := connKey{guest: port}
	for key.host == 0 || d.conns[key] != nil || d.listeners[key.host] != nil {
		key.host = firstPort + rand.Uint32N(portCount)
	}
	c := d.newConn(key)
	d.send(c, opRequest, 0)
	return c, nil
}

// Listen accepts connections that the guest makes to a port of the host; 0
// picks one. The listener ends with the device.
func (d *Vsock) Listen(port uint32) (*Listener, error) {
	d.b.mu.Lock()
	defer d.b.mu.Unlock()
	fail := func(err error) (*Listener, error) {
		return nil, &net.OpError{Op: "listen", Net: "vsock", Addr: Addr{hostCID, port}, Err: err}
	}
	if d.closed {
		return fail(net.ErrClosed)
	}
	if port == anyPort || d.listeners[port] != nil {
		return fail(syscall.EADDRINUSE)
	}
	for port == 0 || d.listeners[port] != nil {
		port = firstPort + rand.Uint32N(portCount)
	}
	l := &Listener{d: d, port: port, backlog: make(chan *Conn, acceptBacklog), done: make(chan struct{})}
	d.listeners[port] = l
	return l, nil
}

// Listener is a net.Listener whose connections are of type *Conn.
type Listener struct {
	d       *Vsock
	port    uint32
	backlog chan *Conn
	once    sync.Once
	done    chan struct{}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.done:
		return nil, &net.OpError{Op: "accept", Net: "vsock", Addr: l.Addr(), Err: net.ErrClosed}
	}
}

// Close implements net.Listener. Connections that nobody has accepted are reset.
func (l *Listener) Close() error {
	l.d.b.mu.Lock()
	defer l.d.b.mu.Unlock()
	l.close()
	return nil
}

// close is Close with the lock held.
func (l *Listener) close() {
	l.once.Do(func() {
		delete(l.d.listeners, l.port)
		close(l.done)
		for len(l.backlog) > 0 {
			select {
			case c := <-l.backlog:
				c.setClosed()
				l.d.abort(c, net.ErrClosed)
			default: // Accept was faster
			}
		}
	})
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return Addr{hostCID, l.port} }
