//go:build linux

package vhostuser

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Conn is a stream to or from the guest: a net.Conn with half-close and reset.
//
// Write returns once the data lies in the guest's memory, so that Close does
// not lose any. A reset that the guest sends looks like ECONNRESET here; a
// reset sent to a Linux guest looks like a clean end of file there.
type Conn struct {
	d   *Vsock
	key connKey

	readLock, writeLock sync.Mutex // one Read and one Write at a time

	dialed             chan struct{} // closed when connected is set
	readable, writable chan struct{}
	readBy, writeBy    *deadline

	// All below is guarded by d.b.mu.
	buffer                fifo
	received              uint32 // bytes that came in, modulo 2^32
	taken                 uint32 // bytes that the reader has taken
	takenShown            uint32 // taken as the guest knows it
	sent                  uint32 // bytes that went out
	peerWindow, peerTaken uint32 // the guest's side of the same
	connected             bool   // or failed to be: see err
	closed                bool
	creditQueued          bool   // a credit update waits in d.replies
	localShut, peerShut   uint32 // shut flags sent and received
	err                   error  // set once the connection is gone
	closeTimer            *time.Timer
}

func (d *Vsock) newConn(key connKey) *Conn {
	c := &Conn{
		d: d, key: key,
		dialed:   make(chan struct{}),
		readable: make(chan struct{}, 1),
		writable: make(chan struct{}, 1),
		readBy:   newDeadline(),
		writeBy:  newDeadline(),
	}
	d.conns[key] = c
	return c
}

// header is the header of a packet that leaves now.
func (c *Conn) header(op uint16) packetHeader {
	h := packetHeader{
		srcCID: hostCID, dstCID: c.d.cid,
		srcPort: c.key.host, dstPort: c.key.guest,
		kind: typeStream, op: op,
	}
	c.refreshCredit(&h)
	return h
}

// refreshCredit writes the receive buffer's state into a header.
func (c *Conn) refreshCredit(h *packetHeader) {
	h.window, h.taken = window, c.taken
	c.takenShown = c.taken
}

// credit is how many bytes the guest has room for.
func (c *Conn) credit() uint32 {
	inFlight := c.sent - c.peerTaken
	if inFlight >= c.peerWindow {
		return 0
	}
	return c.peerWindow - inFlight
}

func (c *Conn) opError(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "vsock", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	c.readLock.Lock()
	defer c.readLock.Unlock()
	for {
		n, err := c.tryRead(p)
		if n > 0 || err != nil || len(p) == 0 {
			return n, c.opError("read", err)
		}
		select {
		case <-c.readable:
		case <-c.readBy.passed():
		}
	}
}

func (c *Conn) tryRead(p []byte) (int, error) {
	d := c.d
	d.b.mu.Lock()
	defer d.b.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	if c.readBy.expired() {
		return 0, os.ErrDeadlineExceeded
	}
	if n := c.buffer.read(p); n > 0 {
		c.taken += uint32(n)
		c.returnCredit()
		return n, nil
	}
	if c.peerShut&shutSend != 0 || c.localShut&shutReceive != 0 {
		return 0, io.EOF
	}
	return 0, c.err
}

// returnCredit tells the guest of room in the buffer, a quarter of the window
// at a time. The guest's own window counts as well: Linux never has more in
// flight than its own buffer is large, and would wait for ever for an update
// that comes after half of a larger one.
func (c *Conn) returnCredit() {
	if c.err == nil && c.peerShut&shutSend == 0 && c.taken-c.takenShown >= min(window, c.peerWindow)/4 {
		c.d.send(c, opCreditUpdate, 0)
	}
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	c.writeLock.Lock()
	defer c.writeLock.Unlock()
	total := 0
	for {
		n, err := c.tryWrite(p)
		total += n
		p = p[n:]
		if err != nil || len(p) == 0 {
			return total, c.opError("write", err)
		}
		if n > 0 {
			continue
		}
		select {
		case <-c.writable:
		case <-c.writeBy.passed():
		}
	}
}

// tryWrite moves as much of p to the guest as its credit and buffers allow.
func (c *Conn) tryWrite(p []byte) (sent int, err error) {
	d := c.d
	d.b.mu.Lock()
	defer d.b.mu.Unlock()
	if err := c.writeError(); err != nil || len(p) == 0 {
		return 0, err
	}
	if !d.up[queueRX] { // paused
		d.waiting[c] = struct{}{}
		return 0, nil
	}
	q := d.b.queues[queueRX]
	defer q.flush()
	for range batch {
		part := p[:min(len(p), int(c.credit()))]
		if len(part) == 0 {
			break
		}
		if len(d.replies) > 0 { // control packets go first
			d.waiting[c] = struct{}{}
			break
		}
		h := c.header(opData)
		n, ok := d.put(q, &h, part)
		if !ok && q.arm() {
			continue
		}
		if !ok {
			if c.err == nil {
				d.waiting[c] = struct{}{}
			}
			break
		}
		c.sent += uint32(n)
		sent += n
		p = p[n:]
	}
	return sent, nil
}

func (c *Conn) writeError() error {
	switch {
	case c.closed:
		return net.ErrClosed
	case c.writeBy.expired():
		return os.ErrDeadlineExceeded
	case c.err == io.EOF || c.peerShut&shutReceive != 0 || c.localShut&shutSend != 0:
		return syscall.EPIPE
	}
	return c.err
}

// CloseWrite tells the guest that no more data follows: it reads end of file.
func (c *Conn) CloseWrite() error { return c.shutdown(shutSend) }

// CloseRead tells the guest that nobody reads: its writes fail with EPIPE.
func (c *Conn) CloseRead() error { return c.shutdown(shutReceive) }

func (c *Conn) shutdown(flags uint32) error {
	c.d.b.mu.Lock()
	defer c.d.b.mu.Unlock()
	if c.closed {
		return c.opError("shutdown", net.ErrClosed)
	}
	if c.err != nil {
		return c.opError("shutdown", syscall.ENOTCONN)
	}
	if flags&shutReceive != 0 {
		c.discard()
	}
	if c.localShut|flags != c.localShut {
		c.localShut |= flags
		c.d.send(c, opShutdown, c.localShut)
	}
	signal(c.readable)
	signal(c.writable)
	return nil
}

// discard drops what is buffered and will not be read.
func (c *Conn) discard() {
	c.taken = c.received
	c.buffer = fifo{}
}

// Close ends the connection in order: the guest still reads what was written.
func (c *Conn) Close() error {
	c.d.b.mu.Lock()
	defer c.d.b.mu.Unlock()
	if c.closed {
		return c.opError("close", net.ErrClosed)
	}
	c.setClosed()
	if c.err == nil {
		c.localShut = shutBoth
		c.d.send(c, opShutdown, shutBoth)
	}
	if c.err == nil { // sending may have found the ring broken
		// The guest answers with a reset; until then the ports stay taken.
		c.closeTimer = time.AfterFunc(closeTimeout, c.expire)
	}
	return nil
}

// expire resets a closed connection that the guest has not let go of.
func (c *Conn) expire() {
	c.d.b.mu.Lock()
	defer c.d.b.mu.Unlock()
	if c.err == nil {
		c.d.abort(c, net.ErrClosed)
	}
}

// Reset ends the connection at once.
func (c *Conn) Reset() error {
	c.d.b.mu.Lock()
	defer c.d.b.mu.Unlock()
	c.setClosed()
	if c.err == nil {
		c.d.abort(c, net.ErrClosed)
	}
	return nil
}

func (c *Conn) setClosed() {
	c.closed = true
	c.discard()
	c.readBy.set(time.Time{})
	c.writeBy.set(time.Time{})
	signal(c.readable)
	signal(c.writable)
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return Addr{hostCID, c.key.host} }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return Addr{uint32(c.d.cid), c.key.guest} }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	c.readBy.set(t)
	c.writeBy.set(t)
	return nil
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { c.readBy.set(t); return nil }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { c.writeBy.set(t); return nil }
