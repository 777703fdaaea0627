//go:build linux

package vhostuser

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"
	"time"
)

// hostCID is the host's address on vsock (VMADDR_CID_HOST, vsock(7)).
const hostCID = 2

// Queues of the device (virtio 1.2, section 5.10.2). QEMU keeps the third, for
// events, to itself.
const (
	queueRX = 0 // packets to the guest
	queueTX = 1 // packets from the guest
)

const (
	// maxConns bounds the connections of a guest and, times window, the
	// memory that an idle reader here costs.
	maxConns = 1024
	// window is the receive buffer of a connection. Linux does not send more
	// than its own default of 256 KiB ahead, so that a larger one stays unused.
	window = 256 << 10
	// maxReplies is how many control packets wait for a guest that offers no
	// buffers before its own packets are left in their queue
	// (section 5.10.6.1.2 asks for this).
	maxReplies = 1024
	// acceptBacklog is how many connections wait for Accept.
	acceptBacklog = 128
	// closeTimeout is how long a closed connection waits for the guest's
	// consent before it is reset.
	closeTimeout = 10 * time.Second
	// batch is how many packets are moved while the lock is held.
	batch = 64
)

// errRestarted ends connections of a driver that has been replaced by another.
var errRestarted = fmt.Errorf("the guest's vsock driver has restarted: %w", syscall.ECONNRESET)

// Vsock is the virtio-vsock device of one guest (virtio 1.2, section 5.10),
// stream sockets only. Its methods may be called from any goroutine.
type Vsock struct {
	b   *backend
	cid uint64

	// All below is guarded by b.mu.
	up        [2]bool       // which queues run
	upChanged chan struct{} // closed and replaced when up or closed changes
	closed    bool
	conns     map[connKey]*Conn
	listeners map[uint32]*Listener
	replies   []queuedReply
	stalled   bool               // TX is left alone until replies shrink
	waiting   map[*Conn]struct{} // writers without buffers in the guest
	rx, tx    chain              // scratch space
}

// connKey names a connection by its two ports.
type connKey struct{ host, guest uint32 }

// NewVsock makes the device of the guest with the given address. Close ends it.
func NewVsock(cid uint32, log *slog.Logger) *Vsock {
	d := &Vsock{
		cid:       uint64(cid),
		upChanged: make(chan struct{}),
		conns:     map[connKey]*Conn{},
		listeners: map[uint32]*Listener{},
		waiting:   map[*Conn]struct{}{},
	}
	d.b = newBackend(d, 2, log)
	return d
}

// Serve answers a front-end, QEMU's vhost-user-vsock device, until it leaves,
// and closes conn. Its connections end with it; listeners stay for the next.
// It returns nil when the front-end has left or the device was closed.
func (d *Vsock) Serve(conn *net.UnixConn) error { return d.b.serve(conn) }

// Close ends Serve, all connections and all listeners.
func (d *Vsock) Close() error {
	d.b.close()
	d.b.mu.Lock()
	defer d.b.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	d.dropAll(net.ErrClosed)
	for _, l := range d.listeners {
		l.close()
	}
	d.changed()
	return nil
}

func (d *Vsock) features() uint64 { return 1 << 0 } // VIRTIO_VSOCK_F_STREAM
func (d *Vsock) config() []byte   { return encode64(d.cid) }

// running says whether packets can go both ways.
func (d *Vsock) running() bool { return d.up[queueRX] && d.up[queueTX] }

func (d *Vsock) changed() {
	close(d.upChanged)
	d.upChanged = make(chan struct{})
}

func (d *Vsock) started(i int) {
	// A driver that has just set the device up knows none of the connections.
	// After a pause the rings go on where they stopped, and so do those.
	if i == queueRX && d.b.queues[i].fresh() {
		d.dropAll(errRestarted)
	}
	d.up[i] = true
	d.changed()
}

func (d *Vsock) stopped(i int) {
	d.up[i] = false
	d.changed()
}

func (d *Vsock) settle() {} // packets are copied with the lock held

func (d *Vsock) gone() {
	d.dropAll(syscall.ECONNRESET)
	d.changed()
}

// dropAll ends all connections without telling the guest.
func (d *Vsock) dropAll(err error) {
	for _, c := range d.conns {
		d.drop(c, err)
	}
	d.replies, d.stalled = nil, false
}

func (d *Vsock) kicked(i int) {
	d.b.mu.Lock()
	defer d.b.mu.Unlock()
	if i == queueRX {
		d.buffersArrived()
		return
	}
	for d.up[queueTX] && d.drain() {
		d.b.mu.Unlock() // let readers and writers in
		d.b.mu.Lock()
	}
}

// drain handles a batch of the guest's packets and reports whether more wait.
func (d *Vsock) drain() (more bool) {
	q := d.b.queues[queueTX]
	defer q.flush()
	for range batch {
		if len(d.replies) >= maxReplies {
			d.stalled = true // until sendReplies has made room
			return false
		}
		ok, err := q.pop(&d.tx)
		if err != nil {
			d.fail(q, err)
			return false
		}
		if !ok {
			return q.arm()
		}
		d.receive(d.tx.read)
		q.push(d.tx.head, 0)
	}
	return true
}

// fail gives up on a driver that broke the rules of a ring. The ring stays
// unused until the driver sets the device up again.
func (d *Vsock) fail(q *queue, err error) {
	d.b.log.Warn("the guest broke its vsock device", "queue", q.index, "error", err)
	d.dropAll(fmt.Errorf("vsock queue %d: %w", q.index, errors.Join(err, syscall.EPROTO)))
}

// buffersArrived runs when the guest has added buffers to its receive queue.
func (d *Vsock) buffersArrived() {
	if !d.up[queueRX] {
		return
	}
	if d.sendReplies() {
		for c := range d.waiting {
			signal(c.writable)
		}
		clear(d.waiting)
	}
	d.b.queues[queueRX].flush()
}

// drop forgets a connection; err is what its users see from now on.
func (d *Vsock) drop(c *Conn, err error) {
	if c.err == nil {
		c.err = err
	}
	if !c.connected {
		c.connected = true
		close(c.dialed)
	}
	if c.closeTimer != nil {
		c.closeTimer.Stop()
	}
	delete(d.conns, c.key)
	delete(d.waiting, c)
	signal(c.readable)
	signal(c.writable)
}

// abort resets a connection.
func (d *Vsock) abort(c *Conn, err error) {
	d.send(c, opReset, 0)
	d.drop(c, err)
}

// signal wakes the one goroutine that waits on ch, or the next that does.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
