//go:build linux

package vhostuser

import (
	"log/slog"
	"net"
	"sync"
)

// fsQueues: one for what must not wait behind other requests, one for all
// others (virtio 1.2, section 5.11.2).
const fsQueues = 2

// fsWorkers is how many requests of a guest are served at a time. When all are
// busy the ring fills up and the guest waits.
const fsWorkers = 16

// FS is the virtio-fs device of one guest (virtio 1.2, section 5.11). It carries
// requests of the FUSE protocol and knows nothing of what is in them.
type FS struct {
	b      *backend
	handle func(request, reply [][]byte) int

	// All below is guarded by b.mu.
	up      [fsQueues]bool
	held    bool       // no request is begun
	busy    int        // requests that are being served, in guest memory
	idle    *sync.Cond // busy has become 0
	workers chan struct{}
}

// NewFS makes a device. handle reads a request, writes the reply and returns the
// reply's length; it is called from several goroutines. Both lie in memory
// that the guest can change meanwhile. Close ends the device.
func NewFS(handle func(request, reply [][]byte) int, log *slog.Logger) *FS {
	d := &FS{handle: handle, workers: make(chan struct{}, fsWorkers)}
	d.b = newBackend(d, fsQueues, log)
	d.idle = sync.NewCond(&d.b.mu)
	return d
}

// Serve answers a front-end, QEMU's vhost-user-fs device, until it leaves, and
// closes conn. It returns nil when the front-end has left or the device was
// closed. No request is being served then.
func (d *FS) Serve(conn *net.UnixConn) error { return d.b.serve(conn) }

// Close ends Serve.
func (d *FS) Close() error {
	d.b.close()
	return nil
}

func (d *FS) features() uint64 { return 0 }
func (d *FS) config() []byte   { return nil } // the tag is QEMU's business
func (d *FS) gone()            {}

func (d *FS) started(i int) { d.up[i] = true }

func (d *FS) stopped(i int) {
	d.up[i] = false
	d.settle()
}

func (d *FS) settle() {
	d.held = true
	for d.busy > 0 {
		d.idle.Wait()
	}
	d.held = false
}

func (d *FS) kicked(i int) {
	d.b.mu.Lock()
	defer d.b.mu.Unlock()
	for d.up[i] && !d.held {
		q := d.b.queues[i]
		c := new(chain)
		ok, err := q.pop(c)
		if err != nil {
			d.b.log.Warn("the guest broke its file system device", "queue", i, "error", err)
			return
		}
		if !ok {
			if q.arm() {
				continue
			}
			return
		}
		d.busy++
		select {
		case d.workers <- struct{}{}:
			go func() {
				d.serve(q, c)
				<-d.workers
			}()
		default: // here, so that no more are begun
			d.b.mu.Unlock()
			d.serve(q, c)
			d.b.mu.Lock()
		}
	}
}

// serve answers one request, without the lock.
func (d *FS) serve(q *queue, c *chain) {
	n := d.handle(c.read, c.write)
	d.b.mu.Lock()
	defer d.b.mu.Unlock()
	q.push(c.head, uint32(n))
	q.flush()
	if d.busy--; d.busy == 0 {
		d.idle.Broadcast()
	}
}
