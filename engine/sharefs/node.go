//go:build linux

package sharefs

import (
	"container/list"
	"fmt"
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

const (
	// maxNodes bounds the memory that a guest's knowledge of files takes here.
	maxNodes = 1 << 20
	// maxDescriptors bounds the descriptors that nodes have open. A node that
	// has lost its own is looked up again where it was.
	maxDescriptors = 4096
)

// identity tells files of the host apart, and those that are in two shares.
type identity struct {
	share    *share
	dev, ino uint64
}

// node is a file that the guest knows. All but what is constant is guarded by
// the table's lock.
type node struct {
	id   uint64
	key  identity
	kind uint32 // unix.S_IFREG and the like

	parent  *node // nil: a share's own directory
	name    string
	lookups uint64 // how often the guest has been told of it
	users   int    // requests that use fd
	fd      int    // O_PATH; -1 when it was given up
	open    *list.Element
}

// path is a name of what the node's descriptor refers to, for calls that take
// no O_PATH descriptor. It must not be used where a device, pipe or link would
// be followed.
func (n *node) path() string { return fmt.Sprintf("/proc/self/fd/%d", n.fd) }

func (n *node) readOnly() bool { return n.key.share == nil || n.key.share.ReadOnly }

// table has the nodes of a guest.
type table struct {
	mu    sync.Mutex
	next  uint64
	byID  map[uint64]*node
	byKey map[identity]*node
	open  *list.List // of *node that have a descriptor, the last used first
	devs  map[uint64]uint64
}

func (t *table) init() {
	t.next = fuse.FUSE_ROOT_ID + 1
	t.byID, t.byKey, t.open = map[uint64]*node{}, map[identity]*node{}, list.New()
	t.devs = map[uint64]uint64{}
	t.byID[fuse.FUSE_ROOT_ID] = &node{id: fuse.FUSE_ROOT_ID, kind: unix.S_IFDIR, fd: -1}
}

// add tells of a file that was found in a directory, takes over fd, and counts
// that the guest will know of it. The node is held until release.
func (t *table) add(sh *share, parent *node, name string, fd int) (*node, unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, st, err
	}
	key := identity{sh, st.Dev, st.Ino}
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.byKey[key]
	if n != nil && n.kind != st.Mode&unix.S_IFMT {
		n = nil // the number has passed to another file while nothing here was open
	}
	switch {
	case n == nil && len(t.byID) >= maxNodes:
		unix.Close(fd)
		return nil, st, unix.ENOMEM
	case n == nil:
		n = &node{id: t.next, key: key, kind: st.Mode & unix.S_IFMT, fd: -1}
		t.next++
		t.byID[n.id], t.byKey[key] = n, n
	}
	n.users++
	if n.lookups++; n.key.share.root != n {
		n.parent, n.name = parent, name
	}
	if n.fd >= 0 {
		unix.Close(fd)
		t.open.MoveToFront(n.open)
		return n, st, nil
	}
	t.opened(n, fd)
	return n, st, nil
}

// opened gives a node its descriptor, and takes those away that have not been
// used for longest and are too many. The lock is held.
func (t *table) opened(n *node, fd int) {
	n.fd, n.open = fd, t.open.PushFront(n)
	for e := t.open.Back(); e != nil && t.open.Len() > maxDescriptors; {
		old := e.Value.(*node)
		e = e.Prev()
		if old.users == 0 && old != n {
			t.shut(old)
		}
	}
}

// shut closes a node's descriptor; the lock is held.
func (t *table) shut(n *node) {
	if n.fd >= 0 {
		unix.Close(n.fd)
		t.open.Remove(n.open)
		n.fd, n.open = -1, nil
	}
}

// acquire returns a node whose descriptor stays open until release.
func (t *table) acquire(id uint64) (*node, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.byID[id]
	if n == nil {
		return nil, unix.ESTALE
	}
	return n, t.hold(n)
}

// hold opens a node again if need be. The lock is held.
func (t *table) hold(n *node) error {
	if n.key.share == nil {
		return nil
	}
	if n.fd >= 0 {
		t.open.MoveToFront(n.open)
		n.users++
		return nil
	}
	if n.parent == nil {
		return unix.ESTALE
	}
	if err := t.hold(n.parent); err != nil {
		return err
	}
	defer func() { n.parent.users-- }()
	fd, err := find(n.parent.fd, n.name)
	if err != nil {
		return unix.ESTALE
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Dev != n.key.dev || st.Ino != n.key.ino {
		unix.Close(fd)
		return unix.ESTALE // something else is there now
	}
	t.opened(n, fd)
	n.users++
	return nil
}

// share holds a node that is held already once more.
func (t *table) share(n *node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n.users++
}

func (t *table) release(n *node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n.key.share == nil {
		return
	}
	if n.users--; n.users == 0 && n.lookups == 0 {
		t.shut(n)
	}
}

// forget takes back that the guest was told of a node so many times.
func (t *table) forget(id, times uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.byID[id]
	if n == nil || n.key.share == nil {
		return
	}
	if n.lookups -= min(times, n.lookups); n.lookups > 0 || n.key.share.root == n {
		return
	}
	delete(t.byID, id)
	if t.byKey[n.key] == n {
		delete(t.byKey, n.key)
	}
	if n.users == 0 {
		t.shut(n)
	}
}

// moved notes that what a directory has under a name was renamed to it.
func (t *table) moved(parent *node, name string) {
	var st unix.Stat_t
	if unix.Fstatat(parent.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.byKey[identity{parent.key.share, st.Dev, st.Ino}]; n != nil && n.key.share.root != n {
		n.parent, n.name = parent, name
	}
}

// number is the number of a file in the guest, where all shares are one file
// system: numbers of different file systems of the host are kept apart.
func (t *table) number(dev, ino uint64) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, ok := t.devs[dev]
	if !ok {
		i = uint64(len(t.devs))
		t.devs[dev] = i
	}
	return ino ^ i<<48
}

func (t *table) closeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for e := t.open.Front(); e != nil; e = t.open.Front() {
		t.shut(e.Value.(*node))
	}
}

// find opens what a directory has under a name, and nothing that a link there
// leads to.
func find(dir int, name string) (int, error) {
	return unix.Openat2(dir, name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: beneath})
}

const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS
