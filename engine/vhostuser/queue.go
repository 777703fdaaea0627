//go:build linux

package vhostuser

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Descriptor flags (virtio 1.2, section 2.7.5).
const (
	descNext     = 1
	descWrite    = 2
	descIndirect = 4
	descSize     = 16
)

const (
	// maxQueueSize is QEMU's own limit (VIRTQUEUE_MAX_SIZE).
	maxQueueSize = 1024
	// maxIndirect bounds the entries of an indirect descriptor table.
	maxIndirect = 1024
)

var errBadRing = errors.New("the driver wrote a malformed descriptor chain")

// queue is a split virtqueue seen from the device (virtio 1.2, section 2.7).
// All fields and methods belong to the backend's lock, except where noted.
type queue struct {
	index int
	size  uint16 // entries, a power of two; 0 before SET_VRING_NUM

	// Ring addresses in the front-end's address space.
	hasAddr                       bool
	descAddr, availAddr, usedAddr uint64
	mem                           memory
	desc, avail, used             []byte
	availWord, usedWord           *uint32 // flags and idx of each ring as one word

	enabled, started, broken bool
	eventIdx                 bool
	lastAvail                uint16 // next entry of the available ring to take
	consumed                 bool   // an entry was taken since the driver set the device up
	usedNext                 uint16 // next slot of the used ring
	usedShown                uint16 // used.idx as the driver sees it

	kick  *os.File // eventfd by which the driver notifies
	call  int      // eventfd by which the device interrupts, -1 when absent
	fence uint32
}

// ready says whether all that a ring needs has been set.
func (q *queue) ready() bool { return q.enabled && q.size != 0 && q.hasAddr && q.kick != nil }

// attach finds the rings in the guest's memory.
func (q *queue) attach(mem memory) error {
	n := uint64(q.size)
	desc := mem.user(q.descAddr, descSize*n)
	// Both rings end in a 16-bit word. The one of the available ring is read
	// as part of an aligned 32-bit word, so that the load can be atomic.
	avail := mem.user(q.availAddr, 8+2*n)
	used := mem.user(q.usedAddr, 6+8*n)
	if desc == nil || avail == nil || used == nil {
		return fmt.Errorf("queue %d lies outside the shared memory: the memory backend needs share=on", q.index)
	}
	availWord, usedWord := unsafe.Pointer(&avail[0]), unsafe.Pointer(&used[0])
	if uintptr(availWord)%4 != 0 || uintptr(usedWord)%4 != 0 {
		return fmt.Errorf("queue %d is not aligned", q.index)
	}
	q.mem, q.desc, q.avail, q.used = mem, desc, avail, used
	q.availWord, q.usedWord = (*uint32)(availWord), (*uint32)(usedWord)
	return nil
}

// begin makes an attached ring run.
func (q *queue) begin() {
	q.started, q.broken = true, false
	q.usedNext = uint16(atomic.LoadUint32(q.usedWord) >> 16)
	q.usedShown = q.usedNext
	q.poke() // the driver may have added buffers before
}

// detach forgets the guest's memory.
func (q *queue) detach() {
	q.started = false
	q.mem, q.desc, q.avail, q.used, q.availWord, q.usedWord = nil, nil, nil, nil, nil, nil
}

// fresh says whether a driver that has just initialised the device uses the
// ring. Its first index is 0 then; so it is, by chance, after 65536 entries.
func (q *queue) fresh() bool { return q.lastAvail == 0 && !q.consumed }

// setKick replaces the notification descriptor, -1 for none.
func (q *queue) setKick(fd int) error {
	if q.kick != nil {
		q.kick.Close()
		q.kick = nil
	}
	if fd < 0 {
		return nil
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return fmt.Errorf("queue %d: make the kick descriptor non-blocking: %w", q.index, err)
	}
	f := os.NewFile(uintptr(fd), "kick")
	// A file that cannot be polled would be read in an endless loop.
	if err := f.SetReadDeadline(time.Time{}); err != nil {
		f.Close()
		return fmt.Errorf("queue %d: the kick descriptor is no eventfd: %w", q.index, err)
	}
	q.kick = f
	return nil
}

// setCall replaces the interrupt descriptor, -1 for none.
func (q *queue) setCall(fd int) error {
	if q.call >= 0 {
		unix.Close(q.call)
	}
	q.call = fd
	if fd < 0 {
		return nil
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("queue %d: make the call descriptor non-blocking: %w", q.index, err)
	}
	return nil
}

// poke makes the queue's loop run as if the driver had notified the device.
func (q *queue) poke() {
	if q.kick != nil {
		q.kick.Write(encodeEvent)
	}
}

var encodeEvent = []byte{1, 0, 0, 0, 0, 0, 0, 0}

// pending is how many available entries have not been taken.
func (q *queue) pending() uint16 {
	if q.broken || !q.started {
		return 0
	}
	return uint16(atomic.LoadUint32(q.availWord)>>16) - q.lastAvail
}

// chain is one request of the driver. The slices are guest memory: they may
// change under the reader, and end with the queue.
type chain struct {
	head  uint16
	read  [][]byte // device-readable
	write [][]byte // device-writable
}

// pop takes the next available chain; ok is false when there is none. After an
// error the ring is broken: it yields nothing until the driver resets it.
func (q *queue) pop(c *chain) (ok bool, err error) {
	n := q.pending()
	if n == 0 {
		return false, nil
	}
	if n > q.size {
		q.broken = true
		return false, errBadRing
	}
	c.head = binary.LittleEndian.Uint16(q.avail[4+2*int(q.lastAvail&(q.size-1)):])
	q.lastAvail++
	q.consumed = true
	if err := q.walk(c); err != nil {
		q.broken = true
		return false, err
	}
	return true, nil
}

// walk collects the buffers of the chain that starts at c.head.
func (q *queue) walk(c *chain) error {
	c.read, c.write = c.read[:0], c.write[:0]
	table, size := q.desc, uint32(q.size)
	indirect := false
	i := uint32(c.head)
	for steps := uint32(0); ; steps++ {
		if i >= size || steps > size {
			return errBadRing
		}
		d := table[descSize*i : descSize*i+descSize]
		addr, length := binary.LittleEndian.Uint64(d), binary.LittleEndian.Uint32(d[8:])
		flags, next := binary.LittleEndian.Uint16(d[12:]), binary.LittleEndian.Uint16(d[14:])
		if flags&descIndirect != 0 {
			if indirect || length == 0 || length%descSize != 0 || length > maxIndirect*descSize {
				return errBadRing
			}
			if table = q.mem.guest(addr, uint64(length)); table == nil {
				return errBadRing
			}
			size, i, indirect = length/descSize, 0, true
			continue
		}
		if err := q.addBuffer(c, addr, length, flags); err != nil {
			return err
		}
		if flags&descNext == 0 {
			return nil
		}
		i = uint32(next)
	}
}

func (q *queue) addBuffer(c *chain, addr uint64, length uint32, flags uint16) error {
	if length == 0 {
		return nil
	}
	b := q.mem.guest(addr, uint64(length))
	switch {
	case b == nil:
		return errBadRing
	case flags&descWrite != 0:
		c.write = append(c.write, b)
	case len(c.write) > 0: // readable buffers come first (section 2.7.4.2)
		return errBadRing
	default:
		c.read = append(c.read, b)
	}
	return nil
}

// push gives a chain back with n bytes written to it. The driver sees it after
// the next flush.
func (q *queue) push(head uint16, n uint32) {
	e := q.used[4+8*int(q.usedNext&(q.size-1)):]
	binary.LittleEndian.PutUint32(e, uint32(head))
	binary.LittleEndian.PutUint32(e[4:], n)
	q.usedNext++
}

// flush shows the driver what was pushed and interrupts it if it asked for that
// (section 2.7.7).
func (q *queue) flush() {
	if !q.started || q.usedNext == q.usedShown {
		return
	}
	old := q.usedShown
	q.usedShown = q.usedNext
	// Go's atomic operations are sequentially consistent: the loads below
	// cannot pass this store, which is what suppression relies on.
	atomic.StoreUint32(q.usedWord, uint32(q.usedShown)<<16)
	var interrupt bool
	if q.eventIdx {
		event := uint16(atomic.LoadUint32((*uint32)(unsafe.Pointer(&q.avail[q.eventOffset()]))) >> q.eventShift())
		interrupt = q.usedShown-event-1 < q.usedShown-old
	} else {
		interrupt = atomic.LoadUint32(q.availWord)&1 == 0
	}
	if interrupt && q.call >= 0 {
		unix.Write(q.call, encodeEvent)
	}
}

// eventOffset and eventShift locate used_event, the last 16 bits of the
// available ring, in an aligned 32-bit word. A ring of one entry shares that
// word with the entry.
func (q *queue) eventOffset() int { return (4 + 2*int(q.size)) &^ 3 }
func (q *queue) eventShift() int  { return 8 * ((4 + 2*int(q.size)) & 3) }

// arm asks the driver to notify the device of the next buffer and reports
// whether one has arrived meanwhile; the caller must not sleep then
// (section 2.7.10).
func (q *queue) arm() bool {
	if !q.started {
		return false
	}
	if q.eventIdx {
		binary.LittleEndian.PutUint16(q.used[4+8*int(q.size):], q.lastAvail)
		atomic.StoreUint32(&q.fence, 1) // orders the store above before the load in pending
	}
	return q.pending() > 0
}
