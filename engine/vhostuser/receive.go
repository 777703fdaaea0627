//go:build linux

package vhostuser

import (
	"io"
	"syscall"
)

// receive handles one packet of the guest, given as the buffers it lies in.
func (d *Vsock) receive(segs [][]byte) {
	raw, payload, ok := splitHeader(segs)
	if !ok {
		return
	}
	h := decodePacketHeader(&raw)
	if h.srcCID != d.cid {
		return
	}
	if h.dstCID != hostCID || h.kind != typeStream {
		d.refuse(&h)
		return
	}
	c := d.conns[connKey{h.dstPort, h.srcPort}]
	switch {
	case c == nil && h.op == opRequest:
		d.accept(&h)
	case c == nil:
		d.refuse(&h)
	default:
		c.peerWindow, c.peerTaken = h.window, h.taken
		d.receiveOn(c, &h, payload)
	}
}

// accept hands a new connection of the guest to whoever listens.
func (d *Vsock) accept(h *packetHeader) {
	l := d.listeners[h.dstPort]
	if l == nil || len(l.backlog) == cap(l.backlog) || len(d.conns) >= maxConns {
		d.refuse(h)
		return
	}
	c := d.newConn(connKey{h.dstPort, h.srcPort})
	c.peerWindow, c.peerTaken = h.window, h.taken
	c.connected = true
	close(c.dialed)
	d.send(c, opResponse, 0)
	l.backlog <- c
}

// receiveOn handles a packet on a known connection.
func (d *Vsock) receiveOn(c *Conn, h *packetHeader, payload [][]byte) {
	if !c.connected && h.op != opResponse && h.op != opReset {
		d.abort(c, syscall.EPROTO)
		return
	}
	switch h.op {
	case opResponse:
		if c.connected {
			d.abort(c, syscall.EPROTO)
			return
		}
		c.connected = true
		close(c.dialed)
	case opReset:
		d.drop(c, c.resetError())
	case opShutdown:
		c.peerShut |= h.flags & shutBoth
		if c.peerShut == shutBoth {
			// The guest has closed its socket. The answer lets it free it;
			// what is buffered here stays readable.
			d.abort(c, io.EOF)
		}
	case opData:
		if !c.take(payload, h.length) {
			d.b.log.Warn("the guest overran a vsock connection", "hostPort", c.key.host, "guestPort", c.key.guest)
			d.abort(c, syscall.EPROTO)
			return
		}
	case opCreditUpdate:
	case opCreditRequest:
		d.send(c, opCreditUpdate, 0)
	default:
		d.abort(c, syscall.EPROTO)
		return
	}
	signal(c.readable)
	if c.credit() > 0 || c.peerShut&shutReceive != 0 {
		signal(c.writable)
	}
}

// resetError is what a reset by the guest means for the connection's users.
func (c *Conn) resetError() error {
	switch {
	case !c.connected:
		return syscall.ECONNREFUSED
	case c.peerShut&shutSend != 0:
		return io.EOF
	}
	return syscall.ECONNRESET
}

// take buffers received data; false when the guest had no credit for it or the
// packet is shorter than it says.
func (c *Conn) take(payload [][]byte, length uint32) bool {
	if length > window-(c.received-c.taken) {
		return false
	}
	left := int(length)
	for _, s := range payload {
		s = s[:min(left, len(s))]
		left -= len(s)
		c.received += uint32(len(s))
		if c.closed || c.localShut&shutReceive != 0 {
			c.taken += uint32(len(s)) // nobody will read it
		} else {
			c.buffer.write(s)
		}
	}
	return left == 0
}
