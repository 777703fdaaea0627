//go:build linux

package sharefs

import (
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// maxHandles bounds the files that a guest has open.
const maxHandles = 16384

// handle is a file or directory that the guest has open.
type handle struct {
	fd   int
	node *node    // held: it can be asked about after its name is gone
	dir  *listing // of a directory

	users int // requests that use it, and one until it is released
}

// handles has the open files of a guest.
type handles struct {
	nodes *table

	mu   sync.Mutex
	next uint64
	byID map[uint64]*handle
}

func (t *handles) init(nodes *table) { t.nodes, t.byID = nodes, map[uint64]*handle{} }

// add takes over a descriptor of a node that is held.
func (t *handles) add(n *node, fd int, dir *listing) (uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.byID) >= maxHandles {
		if fd >= 0 {
			unix.Close(fd)
		}
		return 0, unix.ENFILE
	}
	t.nodes.share(n)
	t.next++
	t.byID[t.next] = &handle{fd: fd, node: n, dir: dir, users: 1}
	return t.next, nil
}

// acquire returns a handle that stays open until release. It is the guest's
// word that it belongs to the node, so that is checked.
func (t *handles) acquire(id, node uint64) (*handle, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.byID[id]
	if h == nil || h.node.id != node {
		return nil, unix.EBADF
	}
	h.users++
	return h, nil
}

func (t *handles) release(h *handle) {
	t.mu.Lock()
	h.users--
	last := h.users == 0
	t.mu.Unlock()
	if !last {
		return
	}
	if h.fd >= 0 {
		unix.Close(h.fd)
	}
	t.nodes.release(h.node)
}

// remove closes a handle once nobody uses it.
func (t *handles) remove(id uint64) {
	t.mu.Lock()
	h := t.byID[id]
	delete(t.byID, id)
	t.mu.Unlock()
	if h != nil {
		t.release(h)
	}
}

func (t *handles) closeAll() {
	t.mu.Lock()
	ids := make([]uint64, 0, len(t.byID))
	for id := range t.byID {
		ids = append(ids, id)
	}
	t.mu.Unlock()
	for _, id := range ids {
		t.remove(id)
	}
}

// with calls f with the descriptor of an open file.
func (s *Server) with(h *fuse.InHeader, id uint64, f func(fd int) error) fuse.Status {
	open, err := s.handles.acquire(id, h.NodeId)
	if err != nil {
		return status(err)
	}
	defer s.handles.release(open)
	if open.fd < 0 { // the list of shares
		return fuse.EINVAL
	}
	return status(f(open.fd))
}
