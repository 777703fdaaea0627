//go:build linux

package sharefs

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// inside refuses names that cannot be in a directory, or are not to be seen.
func (n *node) inside(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if n.kind != unix.S_IFDIR {
		return unix.ENOTDIR
	}
	if sh := n.key.share; sh.root == n && sh.File != "" && sh.File != name {
		return unix.ENOENT
	}
	return nil
}

// changeName is change for a name in a directory. The one file of a share is
// not made, moved or removed: it is a file's mount, not a directory's.
func (s *Server) changeName(dir uint64, name string, f func(n *node) error) fuse.Status {
	return s.change(dir, func(n *node) error {
		if err := n.inside(name); err != nil {
			return err
		}
		if sh := n.key.share; sh.root == n && sh.File != "" {
			return unix.EPERM
		}
		return f(n)
	})
}

// Lookup implements fuse.RawFileSystem.
func (s *Server) Lookup(_ <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	if h.NodeId == fuse.FUSE_ROOT_ID {
		return s.lookupShare(name, h.Owner, out)
	}
	return s.at(h.NodeId, func(n *node) error { return s.lookup(n, name, h.Owner, out) })
}

func (s *Server) lookupShare(name string, who fuse.Owner, out *fuse.EntryOut) fuse.Status {
	sh := s.share(name)
	if sh == nil {
		return fuse.ENOENT
	}
	return s.at(sh.root.id, func(n *node) error {
		var st unix.Stat_t
		if err := unix.Fstat(n.fd, &st); err != nil {
			return err
		}
		s.entry(n, &st, who, out)
		return nil
	})
}

// lookup tells the guest of what a directory has under a name.
func (s *Server) lookup(dir *node, name string, who fuse.Owner, out *fuse.EntryOut) error {
	if err := dir.inside(name); err != nil {
		return err
	}
	fd, err := find(dir.fd, name)
	if err != nil {
		return err
	}
	n, st, err := s.nodes.add(dir.key.share, dir, name, fd)
	if err != nil {
		return err
	}
	defer s.nodes.release(n)
	s.entry(n, &st, who, out)
	return nil
}

// Forget implements fuse.RawFileSystem.
func (s *Server) Forget(id, times uint64) { s.nodes.forget(id, times) }

// Mknod implements fuse.RawFileSystem. Devices of the host are not the guest's
// to name.
func (s *Server) Mknod(_ <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	switch in.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFIFO, unix.S_IFSOCK:
	default:
		return fuse.EPERM
	}
	return s.changeName(in.NodeId, name, func(dir *node) error {
		if err := unix.Mknodat(dir.fd, name, in.Mode&unix.S_IFMT|0o600, 0); err != nil {
			return err
		}
		return s.made(dir, name, in.Mode, in.Owner, out)
	})
}

// Mkdir implements fuse.RawFileSystem.
func (s *Server) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return s.changeName(in.NodeId, name, func(dir *node) error {
		if err := unix.Mkdirat(dir.fd, name, 0o700); err != nil {
			return err
		}
		return s.made(dir, name, in.Mode, in.Owner, out)
	})
}

// made finishes something new: it gets its mode, from which the guest has taken
// its own umask and this process must not take another, and its group's bit if
// the directory hands that down.
func (s *Server) made(dir *node, name string, mode uint32, who fuse.Owner, out *fuse.EntryOut) error {
	if err := s.lookup(dir, name, who, out); err != nil {
		return err
	}
	n, err := s.nodes.acquire(out.NodeId)
	if err != nil {
		return err
	}
	defer s.nodes.release(n)
	mode = n.allowed(mode) | out.Mode&unix.S_ISGID
	if out.Mode&0o7777 != mode {
		if err := unix.Fchmodat(unix.AT_FDCWD, n.path(), mode, 0); err != nil {
			return err
		}
		out.Mode = out.Mode&unix.S_IFMT | mode
	}
	return nil
}

// Symlink implements fuse.RawFileSystem.
func (s *Server) Symlink(_ <-chan struct{}, h *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	return s.changeName(h.NodeId, name, func(dir *node) error {
		if err := unix.Symlinkat(target, dir.fd, name); err != nil {
			return err
		}
		return s.lookup(dir, name, h.Owner, out)
	})
}

// Link implements fuse.RawFileSystem.
func (s *Server) Link(_ <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	return s.changeName(in.NodeId, name, func(dir *node) error {
		n, err := s.nodes.acquire(in.Oldnodeid)
		if err != nil {
			return err
		}
		defer s.nodes.release(n)
		if n.key.share != dir.key.share {
			return unix.EXDEV
		}
		// What the descriptor refers to is followed, and no further.
		if err := unix.Linkat(unix.AT_FDCWD, n.path(), dir.fd, name, unix.AT_SYMLINK_FOLLOW); err != nil {
			return err
		}
		return s.lookup(dir, name, in.Owner, out)
	})
}

// Unlink implements fuse.RawFileSystem.
func (s *Server) Unlink(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return s.changeName(h.NodeId, name, func(dir *node) error { return unix.Unlinkat(dir.fd, name, 0) })
}

// Rmdir implements fuse.RawFileSystem.
func (s *Server) Rmdir(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return s.changeName(h.NodeId, name, func(dir *node) error { return unix.Unlinkat(dir.fd, name, unix.AT_REMOVEDIR) })
}

// Rename implements fuse.RawFileSystem.
func (s *Server) Rename(_ <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	if in.Flags&^(unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE) != 0 {
		return fuse.EINVAL
	}
	var nested fuse.Status
	outer := s.changeName(in.NodeId, from, func(old *node) error {
		nested = s.changeName(in.Newdir, to, func(dir *node) error {
			if old.key.share != dir.key.share {
				return unix.EXDEV
			}
			if err := unix.Renameat2(old.fd, from, dir.fd, to, uint(in.Flags)); err != nil {
				return err
			}
			s.nodes.moved(dir, to)
			if in.Flags&unix.RENAME_EXCHANGE != 0 {
				s.nodes.moved(old, from)
			}
			return nil
		})
		return nil
	})
	if outer != fuse.OK {
		return outer
	}
	return nested
}

// Readlink implements fuse.RawFileSystem.
func (s *Server) Readlink(_ <-chan struct{}, h *fuse.InHeader) (target []byte, code fuse.Status) {
	code = s.at(h.NodeId, func(n *node) error {
		target = make([]byte, unix.PathMax)
		size, err := unix.Readlinkat(n.fd, "", target)
		target = target[:max(size, 0)]
		return err
	})
	return target, code
}
