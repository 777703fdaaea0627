//go:build linux

package vhostuser

import (
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where the tests' guest has things in its memory. Each queue has a stretch for
// its rings and one for its buffers.
const (
	testMemory   = 1 << 20
	testUserBase = 0x7f0000000000
	testRings    = 0x8000 // a queue
	testAvail    = 0x4000
	testUsed     = 0x6000
	testBuffers  = 0x40000
	testBufSize  = 0x1000
	testQueue    = 16 // entries
	testCID      = 3
	patience     = 10 * time.Second
)

var le = binary.LittleEndian

// frontend plays QEMU and the driver of the guest in it.
type frontend struct {
	t      *testing.T
	conn   *net.UnixConn
	served chan error
	fd     int
	mem    []byte
	rings  []*driverRing
}

// driverRing is a virtqueue seen from the driver.
type driverRing struct {
	f          *frontend
	index      int
	added      uint16 // avail.idx
	seen       uint16 // used entries taken
	kick, call int
}

// serveVsock makes a device with a front-end whose rings are not set up yet.
func serveVsock(t *testing.T) (*Vsock, *frontend) {
	t.Helper()
	d := NewVsock(testCID, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { d.Close() })
	return d, connect(t, d)
}

// connect attaches another front-end to a device.
func connect(t *testing.T, d interface{ Serve(*net.UnixConn) error }) *frontend {
	t.Helper()
	ours, theirs, err := Socketpair()
	if err != nil {
		t.Fatal(err)
	}
	peer, err := net.FileConn(theirs)
	theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	f := &frontend{t: t, conn: peer.(*net.UnixConn), served: make(chan error, 1)}
	f.fd, f.mem = sharedMemory(t, testMemory, unix.F_SEAL_SHRINK)
	go func() { f.served <- d.Serve(ours) }()
	t.Cleanup(func() { f.conn.Close() })
	return f
}

func sharedMemory(t *testing.T, size int, seals int) (int, []byte) {
	t.Helper()
	fd, err := unix.MemfdCreate("guest", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		t.Fatal(err)
	}
	mem, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(mem) })
	return fd, mem
}

// send sends a request without waiting for anything.
func (f *frontend) send(request, flags uint32, payload []byte, fds ...int) {
	f.t.Helper()
	m := le.AppendUint32(nil, request)
	m = le.AppendUint32(m, flagVersion|flags)
	m = le.AppendUint32(m, uint32(len(payload)))
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	if _, _, err := f.conn.WriteMsgUnix(append(m, payload...), rights, nil); err != nil {
		f.t.Fatal(err)
	}
}

// receive reads an answer's payload.
func (f *frontend) receive() []byte {
	f.t.Helper()
	f.conn.SetReadDeadline(time.Now().Add(patience))
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(f.conn, header); err != nil {
		f.t.Fatal(err)
	}
	if flags := le.Uint32(header[4:]); flags != flagVersion|flagReply {
		f.t.Fatalf("flags of an answer: %#x", flags)
	}
	payload := make([]byte, le.Uint32(header[8:]))
	if _, err := io.ReadFull(f.conn, payload); err != nil {
		f.t.Fatal(err)
	}
	return payload
}

// get sends a request that has an answer.
func (f *frontend) get(request uint32, payload []byte) []byte {
	f.t.Helper()
	f.send(request, 0, payload)
	return f.receive()
}

// accepted sends a request and reports whether the device agreed.
func (f *frontend) accepted(request uint32, payload []byte, fds ...int) bool {
	f.t.Helper()
	f.send(request, flagNeedReply, payload, fds...)
	return le.Uint64(f.receive()) == 0
}

func (f *frontend) must(request uint32, payload []byte, fds ...int) {
	f.t.Helper()
	if !f.accepted(request, payload, fds...) {
		f.t.Fatalf("request %d was refused", request)
	}
}

// end waits for Serve.
func (f *frontend) end() error {
	f.t.Helper()
	select {
	case err := <-f.served:
		return err
	case <-time.After(patience):
		f.t.Fatal("the device still serves")
		return nil
	}
}

type testRegion struct{ guest, size, user, offset uint64 }

func memoryTable(regions ...testRegion) []byte {
	p := le.AppendUint64(nil, uint64(len(regions)))
	for _, r := range regions {
		for _, v := range []uint64{r.guest, r.size, r.user, r.offset} {
			p = le.AppendUint64(p, v)
		}
	}
	return p
}

func wholeMemory() []byte { return memoryTable(testRegion{0, testMemory, testUserBase, 0}) }

func pair(a, b uint32) []byte { return le.AppendUint32(le.AppendUint32(nil, a), b) }

func ringAddress(i int) []byte {
	base := uint64(testUserBase + i*testRings)
	p := pair(uint32(i), 0)
	for _, v := range []uint64{base, base + testUsed, base + testAvail, 0} {
		p = le.AppendUint64(p, v)
	}
	return p
}

// negotiate sets up everything but the rings.
func (f *frontend) negotiate(features uint64) {
	f.t.Helper()
	f.must(reqSetFeatures, encode64(features|featureProtocolFeatures|featureVersion1))
	f.must(reqSetMemTable, wholeMemory(), f.fd)
}

// startRings starts both queues with empty rings at an index, 0 for a new driver.
func (f *frontend) startRings(at uint16) {
	f.t.Helper()
	clear(f.mem)
	f.rings = nil
	for i := range 2 {
		r := &driverRing{f: f, index: i, added: at, seen: at}
		f.rings = append(f.rings, r)
		le.PutUint16(r.at(testAvail+2), at)
		le.PutUint16(r.at(testUsed+2), at)
		for _, fd := range []*int{&r.kick, &r.call} {
			var err error
			if *fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
				f.t.Fatal(err)
			}
			f.t.Cleanup(func() { unix.Close(*fd) })
		}
		f.must(reqSetVringNum, pair(uint32(i), testQueue))
		f.must(reqSetVringBase, pair(uint32(i), uint32(r.added)))
		f.must(reqSetVringAddr, ringAddress(i))
		f.must(reqSetVringKick, encode64(uint64(i)), r.kick)
		f.must(reqSetVringCall, encode64(uint64(i)), r.call)
		f.must(reqSetVringEnable, pair(uint32(i), 1))
	}
}

// stopRings ends both queues and returns their positions.
func (f *frontend) stopRings() [2]uint32 {
	f.t.Helper()
	var at [2]uint32
	for i := range at {
		at[i] = le.Uint32(f.get(reqGetVringBase, pair(uint32(i), 0))[4:])
	}
	return at
}

// up negotiates and starts the rings, with all receive buffers offered.
func (f *frontend) up() {
	f.t.Helper()
	f.negotiate(0)
	f.startRings(0)
	f.rings[queueRX].offer(testQueue)
}

func (r *driverRing) at(offset int) []byte { return r.f.mem[r.index*testRings+offset:] }

// buffer is the memory of a descriptor.
func (r *driverRing) buffer(i uint16) []byte {
	at := testBuffers + (r.index*testQueue+int(i))*testBufSize
	return r.f.mem[at : at+testBufSize]
}

// describe writes a descriptor for a piece of a buffer.
func (r *driverRing) describe(i uint16, length uint32, flags, next uint16) {
	d := r.at(descSize * int(i))
	le.PutUint64(d, uint64(testBuffers+(r.index*testQueue+int(i))*testBufSize))
	le.PutUint32(d[8:], length)
	le.PutUint16(d[12:], flags)
	le.PutUint16(d[14:], next)
}

// add makes a chain available.
func (r *driverRing) add(head uint16) {
	le.PutUint16(r.at(testAvail+4+2*int(r.added%testQueue)), head)
	r.added++
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&r.at(testAvail)[0])), uint32(r.added)<<16)
}

func (r *driverRing) notify() { unix.Write(r.kick, encodeEvent) }

// offer makes n receive buffers available.
func (r *driverRing) offer(n int) {
	for range n {
		i := r.added % testQueue
		r.describe(i, testBufSize, descWrite, 0)
		r.add(i)
	}
	r.notify()
}

// used is the device's index.
func (r *driverRing) used() uint16 {
	return uint16(atomic.LoadUint32((*uint32)(unsafe.Pointer(&r.at(testUsed)[0]))) >> 16)
}

// transmit sends a packet and waits until the device has taken it.
func (f *frontend) transmit(h packetHeader, payload []byte) {
	f.t.Helper()
	r := f.rings[queueTX]
	f.queuePacket(h, payload)
	r.notify()
	eventually(f.t, "the device takes the packet", func() bool { return r.used() == r.added })
}

// queuePacket makes a packet available without a word to the device.
func (f *frontend) queuePacket(h packetHeader, payload []byte) {
	r := f.rings[queueTX]
	i := r.added % testQueue
	h.srcCID, h.dstCID, h.kind = testCID, hostCID, typeStream
	if h.length == 0 {
		h.length = uint32(len(payload))
	}
	raw := h.encode()
	n := copy(r.buffer(i), raw[:])
	n += copy(r.buffer(i)[n:], payload)
	r.describe(i, uint32(n), 0, 0)
	r.add(i)
}

// next takes the device's next packet and offers its buffer anew.
func (f *frontend) next() (packetHeader, []byte) {
	f.t.Helper()
	h, payload := f.take()
	f.rings[queueRX].offer(1)
	return h, payload
}

// take takes the device's next packet.
func (f *frontend) take() (packetHeader, []byte) {
	f.t.Helper()
	r := f.rings[queueRX]
	eventually(f.t, "the device sends a packet", func() bool { return r.used() != r.seen })
	e := r.at(testUsed + 4 + 8*int(r.seen%testQueue))
	r.seen++
	b := r.buffer(uint16(le.Uint32(e)))[:le.Uint32(e[4:])]
	h := decodePacketHeader((*[packetHeaderSize]byte)(b))
	payload := append([]byte(nil), b[packetHeaderSize:]...)
	if int(h.length) != len(payload) {
		f.t.Fatalf("a packet of %d bytes says %d", len(payload), h.length)
	}
	return h, payload
}

// expect takes a packet of one kind; credit updates on the way are skipped.
func (f *frontend) expect(op uint16) (packetHeader, []byte) {
	f.t.Helper()
	for {
		h, payload := f.next()
		if h.op == op {
			return h, payload
		}
		if h.op != opCreditUpdate {
			f.t.Fatalf("packet with operation %d, want %d", h.op, op)
		}
	}
}

// silent wants no further packet by the time the device has done all it was
// told.
func (f *frontend) silent() {
	f.t.Helper()
	f.get(reqGetFeatures, nil) // it takes the lock
	if r := f.rings[queueRX]; r.used() != r.seen {
		h, _ := f.take()
		f.t.Fatalf("unexpected packet with operation %d", h.op)
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Microsecond) {
		if condition() {
			return
		}
	}
	t.Fatalf("%s: not within %v", what, patience)
}
