//go:build linux

package vhostuser

// queuedReply is a control packet that waits for buffers of the guest. With a
// connection, its credit is filled in when it goes out.
type queuedReply struct {
	header packetHeader
	conn   *Conn
}

// send sends a packet without payload on a connection.
func (d *Vsock) send(c *Conn, op uint16, flags uint32) {
	if op == opCreditUpdate {
		if c.creditQueued {
			return // the one that waits will carry the newest state
		}
		c.creditQueued = true
	}
	h := c.header(op)
	h.flags = flags
	d.reply(queuedReply{h, c})
}

// refuse answers a packet that belongs to no connection with a reset.
func (d *Vsock) refuse(h *packetHeader) {
	if h.op == opReset {
		return
	}
	d.reply(queuedReply{header: packetHeader{
		srcCID: h.dstCID, dstCID: h.srcCID,
		srcPort: h.dstPort, dstPort: h.srcPort,
		kind: h.kind, op: opReset,
	}})
}

// reply sends a control packet now or keeps it until the guest has buffers.
// What is kept is bounded: drain stops at maxReplies, and what this side adds
// is at most a few packets a connection.
func (d *Vsock) reply(r queuedReply) {
	d.replies = append(d.replies, r)
	if d.up[queueRX] {
		d.sendReplies()
		d.b.queues[queueRX].flush()
	}
}

// sendReplies sends control packets and reports whether all are gone; if not
// the guest was asked to say when it has buffers.
func (d *Vsock) sendReplies() bool {
	q := d.b.queues[queueRX]
	for len(d.replies) > 0 {
		r := &d.replies[0]
		if r.conn != nil {
			r.conn.refreshCredit(&r.header)
		}
		if _, ok := d.put(q, &r.header, nil); !ok {
			if q.arm() {
				continue
			}
			break
		}
		if r.conn != nil && r.header.op == opCreditUpdate {
			r.conn.creditQueued = false
		}
		d.replies = d.replies[1:]
	}
	if len(d.replies) == 0 {
		d.replies = nil // do not keep the backing array of a busy moment
	}
	if d.stalled && len(d.replies) < maxReplies/2 {
		d.stalled = false
		d.b.queues[queueTX].poke()
	}
	return len(d.replies) == 0
}

// put moves one packet, with as much of p as fits, into a buffer of the guest.
// It reports how much that was, and false when there is no buffer.
func (d *Vsock) put(q *queue, h *packetHeader, p []byte) (n int, ok bool) {
	ok, err := q.pop(&d.rx)
	if err == nil && ok && room(d.rx.write) < 0 {
		q.broken = true
		err = errBadRing
	}
	if err != nil {
		d.fail(q, err)
		return 0, false
	}
	if !ok {
		return 0, false
	}
	n = min(len(p), room(d.rx.write))
	h.length = uint32(n)
	raw := h.encode()
	scatter(d.rx.write, raw[:], p[:n])
	q.push(d.rx.head, packetHeaderSize+h.length)
	return n, true
}
