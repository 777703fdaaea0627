//go:build linux

package sharefs

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// flags are those of open(2) that the guest decides on. They have the same
// values on all architectures, and O_NONBLOCK keeps lease holders from
// stopping us.
func flags(asked uint32) int {
	return int(asked&(unix.O_ACCMODE|unix.O_APPEND|unix.O_SYNC|unix.O_DSYNC)) | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
}

func writes(asked uint32) bool {
	return asked&unix.O_ACCMODE != unix.O_RDONLY || asked&unix.O_TRUNC != 0
}

// Open implements fuse.RawFileSystem. Pipes, sockets and devices are the
// guest's own affair, which it does not ask about.
func (s *Server) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return s.at(in.NodeId, func(n *node) (err error) {
		out.Fh, err = s.openNode(n, in.Flags)
		return err
	})
}

func (s *Server) openNode(n *node, asked uint32) (uint64, error) {
	switch {
	case n.kind == unix.S_IFDIR:
		return 0, unix.EISDIR
	case n.kind != unix.S_IFREG:
		return 0, unix.ENXIO
	case writes(asked) && n.readOnly():
		return 0, unix.EROFS
	}
	fd, err := unix.Open(n.path(), flags(asked)|int(asked&unix.O_TRUNC), 0)
	if err != nil {
		return 0, err
	}
	if writes(asked) {
		disarm(fd)
	}
	return s.handles.add(n, fd, nil)
}

// disarm takes the rights of its owner from a program that is about to be
// written to; the kernel does so only where the writer has no privileges.
func disarm(fd int) {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil && st.Mode&rights != 0 {
		unix.Fchmod(fd, st.Mode&0o7777&^rights)
	}
}

// Create implements fuse.RawFileSystem.
func (s *Server) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	return s.changeName(in.NodeId, name, func(dir *node) error {
		fd, err := unix.Openat2(dir.fd, name, &unix.OpenHow{Flags: uint64(flags(in.Flags) | unix.O_CREAT | unix.O_EXCL), Mode: 0o600, Resolve: beneath})
		if err == unix.EEXIST && in.Flags&unix.O_EXCL == 0 {
			return s.openExisting(dir, name, in, out)
		}
		if err != nil {
			return err
		}
		if err := s.made(dir, name, in.Mode, in.Owner, &out.EntryOut); err != nil {
			unix.Close(fd)
			return err
		}
		return s.opened(out, func(n *node) (uint64, error) { return s.handles.add(n, fd, nil) })
	})
}

// openExisting opens a file that somebody else has just made.
func (s *Server) openExisting(dir *node, name string, in *fuse.CreateIn, out *fuse.CreateOut) error {
	if err := s.lookup(dir, name, in.Owner, &out.EntryOut); err != nil {
		return err
	}
	return s.opened(out, func(n *node) (uint64, error) { return s.openNode(n, in.Flags) })
}

// opened opens the file that the guest is told of.
func (s *Server) opened(out *fuse.CreateOut, open func(n *node) (uint64, error)) error {
	n, err := s.nodes.acquire(out.NodeId)
	if err != nil {
		return err
	}
	defer s.nodes.release(n)
	if out.Fh, err = open(n); err != nil {
		s.nodes.forget(n.id, 1) // an error tells of nothing
	}
	return err
}

// Release implements fuse.RawFileSystem.
func (s *Server) Release(_ <-chan struct{}, in *fuse.ReleaseIn) { s.handles.remove(in.Fh) }

// Read implements fuse.RawFileSystem.
func (s *Server) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	h, err := s.handles.acquire(in.Fh, in.NodeId)
	switch {
	case err != nil:
		return nil, status(err)
	case h.dir != nil || in.Offset > 1<<63-1:
		s.handles.release(h)
		return nil, fuse.EINVAL
	}
	return &reading{s, h, int64(in.Offset), len(buf)}, fuse.OK
}

// reading is a read that is done when the protocol server knows where to. It
// holds the handle until Done.
type reading struct {
	s      *Server
	h      *handle
	offset int64
	size   int
}

// Size implements fuse.ReadResult.
func (r *reading) Size() int { return r.size }

// Done implements fuse.ReadResult.
func (r *reading) Done() { r.s.handles.release(r.h) }

// Bytes implements fuse.ReadResult.
func (r *reading) Bytes(buf []byte) ([]byte, fuse.Status) {
	n, code := r.Readv([][]byte{buf})
	return buf[:n], code
}

// Readv reads into the guest's memory; the protocol server prefers it.
func (r *reading) Readv(to [][]byte) (int, fuse.Status) {
	n, err := unix.Preadv(r.h.fd, to, r.offset)
	return max(n, 0), status(err)
}

// Writev implements fuse.RawFileSystem.
func (s *Server) Writev(_ <-chan struct{}, in *fuse.WriteIn, data [][]byte) (written uint32, code fuse.Status) {
	code = s.with(&in.InHeader, in.Fh, func(fd int) error {
		if in.Offset > 1<<63-1 || uint64(length(data)) < uint64(in.Size) {
			return unix.EINVAL
		}
		n, err := unix.Pwritev(fd, first(data, int(in.Size)), int64(in.Offset))
		written = uint32(max(n, 0))
		return err
	})
	return written, code
}

// first shortens data to n bytes.
func first(data [][]byte, n int) [][]byte {
	var kept [][]byte
	for _, p := range data {
		if n == 0 {
			break
		}
		p = p[:min(len(p), n)]
		n -= len(p)
		kept = append(kept, p)
	}
	return kept
}

// Fsync implements fuse.RawFileSystem.
func (s *Server) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	const dataOnly = 1 // FUSE_FSYNC_FDATASYNC
	return s.with(&in.InHeader, in.Fh, func(fd int) error {
		if in.FsyncFlags&dataOnly != 0 {
			return unix.Fdatasync(fd)
		}
		return unix.Fsync(fd)
	})
}

// Fallocate implements fuse.RawFileSystem.
func (s *Server) Fallocate(_ <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	if in.Offset > 1<<63-1 || in.Length > 1<<63-1 {
		return fuse.EINVAL
	}
	return s.with(&in.InHeader, in.Fh, func(fd int) error {
		return unix.Fallocate(fd, in.Mode, int64(in.Offset), int64(in.Length))
	})
}

// Lseek implements fuse.RawFileSystem. Linux asks for data and holes only.
func (s *Server) Lseek(_ <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	if in.Whence != unix.SEEK_DATA && in.Whence != unix.SEEK_HOLE || in.Offset > 1<<63-1 {
		return fuse.EINVAL
	}
	return s.with(&in.InHeader, in.Fh, func(fd int) error {
		at, err := unix.Seek(fd, int64(in.Offset), int(in.Whence))
		out.Offset = uint64(at)
		return err
	})
}
