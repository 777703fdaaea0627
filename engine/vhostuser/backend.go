//go:build linux

package vhostuser

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// device is what a kind of device implements on top of the control protocol.
type device interface {
	// features are the device's own virtio feature bits.
	features() uint64
	// config is the device's configuration space, nil where the front-end has
	// it.
	config() []byte
	// started and stopped are called with the lock held when queue i begins
	// and ends; after stopped the queue must not be touched.
	started(i int)
	stopped(i int)
	// settle is called with the lock held before guest memory that rings use is
	// unmapped, and returns when nothing of the device is in it outside the
	// lock. Running queues are notified afterwards.
	settle()
	// kicked is called without the lock when the driver has notified queue i.
	kicked(i int)
	// gone is called with the lock held when the front-end has left.
	gone()
}

// backend speaks the control protocol for one device. It serves one front-end
// at a time and outlives it.
type backend struct {
	dev device
	log *slog.Logger

	// mu is the only lock. It orders control messages against all access to
	// rings and guest memory, so that nothing is unmapped while in use.
	mu     sync.Mutex
	conn   *net.UnixConn // nil when nobody is served
	closed bool
	mem    memory
	queues []*queue

	loops sync.WaitGroup // one per kick descriptor
}

func newBackend(dev device, queues int, log *slog.Logger) *backend {
	b := &backend{dev: dev, log: log}
	for i := range queues {
		b.queues = append(b.queues, &queue{index: i, call: -1})
	}
	return b
}

// serve answers one front-end until it leaves, and owns conn.
func (b *backend) serve(conn *net.UnixConn) error {
	if err := b.open(conn); err != nil {
		conn.Close()
		return err
	}
	var err error
	for err == nil {
		err = b.exchange(conn)
	}
	b.mu.Lock()
	closed := b.closed
	for i, q := range b.queues {
		b.stop(q)
		q.setKick(-1)
		q.setCall(-1)
		b.queues[i] = &queue{index: i, call: -1}
	}
	b.mem.unmap()
	b.mem, b.conn = nil, nil
	b.dev.gone()
	b.mu.Unlock()
	conn.Close()
	b.loops.Wait()
	// A front-end that is killed with an answer unread resets the connection.
	if closed || errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) {
		return nil
	}
	return err
}

func (b *backend) open(conn *net.UnixConn) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return net.ErrClosed
	}
	if b.conn != nil {
		return errors.New("vhost-user: the device is in use by another front-end")
	}
	b.conn = conn
	return nil
}

// close makes serve return, now and in future.
func (b *backend) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.conn != nil {
		b.conn.Close()
	}
}

// exchange handles one message.
func (b *backend) exchange(conn *net.UnixConn) error {
	m, err := receive(conn)
	defer m.close()
	if err != nil {
		return err
	}
	answer, err := b.handle(m)
	if err != nil {
		err = fmt.Errorf("vhost-user: %w", err)
	}
	if answer == nil && m.flags&flagNeedReply != 0 {
		answer = encode64(0)
		if err != nil {
			b.log.Warn("refused a request of the front-end", "error", err)
			answer, err = encode64(1), nil
		}
	}
	if err != nil || answer == nil {
		return err
	}
	return reply(conn, m.request, answer)
}

func (b *backend) handle(m *message) (answer []byte, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch m.request {
	case reqGetFeatures:
		const transport = featureNotifyOnEmpty | featureIndirectDesc | featureEventIdx | featureProtocolFeatures | featureVersion1
		return encode64(b.dev.features() | transport), nil
	case reqSetFeatures:
		return nil, b.setFeatures(m)
	case reqGetProtocolFeatures:
		features := uint64(protocolMQ | protocolReplyAck)
		if b.dev.config() != nil {
			features |= protocolConfig
		}
		return encode64(features), nil
	case reqSetOwner, reqResetOwner, reqSetProtocolFeatures:
		return nil, nil
	case reqGetQueueNum:
		return encode64(uint64(len(b.queues))), nil
	case reqSetMemTable:
		return nil, b.setMemory(m)
	case reqGetConfig:
		return b.getConfig(m)
	case reqSetConfig: // no device here has a writable configuration
		return nil, nil
	case reqSetVringNum, reqSetVringBase, reqSetVringEnable, reqGetVringBase, reqSetVringAddr:
		return b.handleRing(m)
	case reqSetVringKick, reqSetVringCall, reqSetVringErr:
		return nil, b.handleEvent(m)
	}
	return nil, fmt.Errorf("request %d is not supported", m.request)
}

func (b *backend) setFeatures(m *message) error {
	if err := m.need(8); err != nil {
		return err
	}
	features := m.u64(0)
	for _, q := range b.queues {
		q.eventIdx = features&featureEventIdx != 0
		if features&featureProtocolFeatures == 0 {
			q.enabled = true // rings start enabled for such a front-end
		}
	}
	return nil
}

func (b *backend) getConfig(m *message) ([]byte, error) {
	const prefix = 12 // offset, size, flags
	if err := m.need(prefix); err != nil {
		return nil, err
	}
	offset, size := m.u32(0), m.u32(4)
	if uint64(size) > uint64(len(m.payload)-prefix) {
		return nil, fmt.Errorf("configuration read of %d bytes in a message of %d", size, len(m.payload))
	}
	answer := make([]byte, prefix+int(size))
	copy(answer, m.payload[:prefix])
	if config := b.dev.config(); uint64(offset) < uint64(len(config)) {
		copy(answer[prefix:], config[offset:])
	}
	return answer, nil
}

// setMemory replaces the guest's memory. QEMU does so while rings run; they
// keep their addresses and are found again in the new memory.
func (b *backend) setMemory(m *message) error {
	mem, err := mapMemory(m)
	if err != nil {
		return err
	}
	b.dev.settle()
	old := b.mem
	b.mem = mem
	for _, q := range b.queues {
		if !q.started {
			continue
		}
		if e := q.attach(mem); e != nil {
			b.stop(q)
			err = errors.Join(err, e)
			continue
		}
		q.poke()
	}
	old.unmap()
	return err
}

// queue finds the queue that a message is about.
func (b *backend) queue(i uint32) (*queue, error) {
	if uint64(i) >= uint64(len(b.queues)) {
		return nil, fmt.Errorf("queue %d of a device with %d", i, len(b.queues))
	}
	return b.queues[i], nil
}

// handleRing serves the requests about a ring's shape and state.
func (b *backend) handleRing(m *message) (answer []byte, err error) {
	if err := m.need(8); err != nil {
		return nil, err
	}
	q, err := b.queue(m.u32(0))
	if err != nil {
		return nil, err
	}
	value := m.u32(4)
	switch m.request {
	case reqGetVringBase: // also ends the ring
		b.stop(q)
		q.setKick(-1)
		q.setCall(-1)
		return encode64(uint64(q.index) | uint64(q.lastAvail)<<32), nil
	case reqSetVringEnable:
		q.enabled = value != 0
		if !q.enabled {
			b.stop(q)
		}
		return nil, b.start(q)
	}
	if q.started {
		return nil, fmt.Errorf("request %d while queue %d runs", m.request, q.index)
	}
	switch m.request {
	case reqSetVringNum:
		if value == 0 || value > maxQueueSize || value&(value-1) != 0 {
			return nil, fmt.Errorf("queue %d of size %d: want a power of two up to %d", q.index, value, maxQueueSize)
		}
		q.size = uint16(value)
	case reqSetVringBase:
		if uint16(value) != q.lastAvail {
			q.consumed = false // not where the ring stopped: another driver
		}
		q.lastAvail = uint16(value)
	case reqSetVringAddr:
		if err := m.need(40); err != nil {
			return nil, err
		}
		q.descAddr, q.usedAddr, q.availAddr = m.u64(8), m.u64(16), m.u64(24)
		q.hasAddr = true
	}
	return nil, b.start(q)
}

// handleEvent serves the requests that hand over an eventfd.
func (b *backend) handleEvent(m *message) error {
	if err := m.need(8); err != nil {
		return err
	}
	const (
		indexMask = 0xff
		noFD      = 0x100
	)
	value := m.u64(0)
	q, err := b.queue(uint32(value & indexMask))
	if err != nil {
		return err
	}
	fd := -1
	if value&noFD == 0 {
		if fd, err = m.takeFD(); err != nil {
			return err
		}
	}
	switch m.request {
	case reqSetVringCall:
		return q.setCall(fd)
	case reqSetVringErr: // errors are logged here, not signalled there
		if fd >= 0 {
			unix.Close(fd)
		}
		return nil
	}
	if err := q.setKick(fd); err != nil {
		return err
	}
	if q.kick != nil {
		b.loops.Add(1)
		go b.loop(q.index, q.kick)
		if q.started {
			q.poke()
		}
	}
	return b.start(q)
}

// loop waits for the driver's notifications until the eventfd is closed.
func (b *backend) loop(index int, kick *os.File) {
	defer b.loops.Done()
	var count [8]byte
	for {
		if n, err := kick.Read(count[:]); err != nil || n != len(count) {
			return
		}
		b.dev.kicked(index)
	}
}

// start lets a ring run once everything it needs is there.
func (b *backend) start(q *queue) error {
	if q.started || !q.ready() {
		return nil
	}
	if err := q.attach(b.mem); err != nil {
		return err
	}
	q.begin()
	b.dev.started(q.index)
	return nil
}

// stop ends a ring; the guest's memory is not touched through it any more.
func (b *backend) stop(q *queue) {
	if !q.started {
		return
	}
	b.dev.stopped(q.index)
	q.detach()
}
