//go:build linux

package sharefs

import (
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// listingSize is how much of a directory is read at a time.
const listingSize = 32 << 10

// listing is where the reading of an open directory is.
type listing struct {
	mu   sync.Mutex
	buf  []byte
	rest []byte // of buf, not handed out yet
	next uint64 // the offset after what was handed out
}

// OpenDir implements fuse.RawFileSystem.
func (s *Server) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n, err := s.nodes.acquire(in.NodeId)
	if err != nil {
		return status(err)
	}
	defer s.nodes.release(n)
	fd := -1
	if n.key.share != nil {
		if n.kind != unix.S_IFDIR {
			return fuse.ENOTDIR
		}
		if fd, err = unix.Openat(n.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
			return status(err)
		}
	}
	out.Fh, err = s.handles.add(n, fd, &listing{})
	return status(err)
}

// ReleaseDir implements fuse.RawFileSystem.
func (s *Server) ReleaseDir(in *fuse.ReleaseIn) { s.handles.remove(in.Fh) }

// FsyncDir implements fuse.RawFileSystem.
func (s *Server) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return s.Fsync(cancel, in)
}

// ReadDir implements fuse.RawFileSystem.
func (s *Server) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return s.list(in, func(_ *node, e fuse.DirEntry) bool { return out.AddDirEntry(e) })
}

// ReadDirPlus implements fuse.RawFileSystem: each name is looked up as well.
func (s *Server) ReadDirPlus(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return s.list(in, func(dir *node, e fuse.DirEntry) bool {
		entry := out.AddDirLookupEntry(e)
		if entry == nil {
			return false
		}
		if e.Name == "." || e.Name == ".." {
			return true
		}
		// What is gone meanwhile stays a name without a node.
		if dir.key.share == nil {
			s.lookupShare(e.Name, in.Owner, entry)
		} else {
			s.lookup(dir, e.Name, in.Owner, entry)
		}
		return true
	})
}

// list hands out the entries of a directory from an offset on, until there is
// no room.
func (s *Server) list(in *fuse.ReadIn, put func(dir *node, e fuse.DirEntry) bool) fuse.Status {
	h, err := s.handles.acquire(in.Fh, in.NodeId)
	if err != nil {
		return status(err)
	}
	defer s.handles.release(h)
	if h.dir == nil || in.Offset > 1<<63-1 {
		return fuse.EINVAL
	}
	if h.fd < 0 {
		s.listShares(h.node, in.Offset, put)
		return fuse.OK
	}
	return s.at(in.NodeId, func(n *node) error {
		h.dir.mu.Lock()
		defer h.dir.mu.Unlock()
		return s.listFrom(h, n, in.Offset, put)
	})
}

func (s *Server) listShares(root *node, offset uint64, put func(dir *node, e fuse.DirEntry) bool) {
	names := []string{".", ".."}
	for _, sh := range s.shares {
		names = append(names, sh.Name)
	}
	for i := offset; i < uint64(len(names)); i++ {
		if !put(root, fuse.DirEntry{Name: names[i], Mode: unix.S_IFDIR, Ino: fuse.FUSE_ROOT_ID, Off: i + 1}) {
			return
		}
	}
}

func (s *Server) listFrom(h *handle, n *node, offset uint64, put func(dir *node, e fuse.DirEntry) bool) error {
	l := h.dir
	if l.buf == nil {
		l.buf = make([]byte, listingSize)
	}
	if offset != l.next || offset == 0 {
		if _, err := unix.Seek(h.fd, int64(offset), unix.SEEK_SET); err != nil {
			return err
		}
		l.rest, l.next = nil, offset
	}
	handed := false
	for {
		if len(l.rest) == 0 {
			size, err := unix.Getdents(h.fd, l.buf)
			if err != nil && !handed {
				return err
			}
			if size <= 0 {
				return nil
			}
			l.rest = l.buf[:size]
		}
		var e fuse.DirEntry
		size := e.Parse(l.rest)
		if n.visible(&e) {
			e.Ino = s.nodes.number(n.key.dev, e.Ino)
			if !put(n, e) {
				return nil
			}
			handed = true
		}
		l.rest, l.next = l.rest[size:], e.Off
	}
}

// visible says whether an entry is to be seen. What the directory around a
// share has for a number is not.
func (n *node) visible(e *fuse.DirEntry) bool {
	if e.Name == "." || e.Name == ".." {
		e.Ino = n.key.ino
		return true
	}
	return n.inside(e.Name) == nil
}
