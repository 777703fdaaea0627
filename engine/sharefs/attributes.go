//go:build linux

package sharefs

import (
	"fmt"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// cached is how long the guest may take what it knows for true: long enough for
// a program that looks at the same directories over and over, too short for a
// person who edits a file on the host.
const cached = 200 * time.Millisecond

// ownerAttribute remembers to whom a file was given in a guest, "uid:gid".
const ownerAttribute = "user.skerry.owner"

// rights are the bits that give a program the rights of its owner or group. On
// a directory they mean something else and harm nobody.
const rights = unix.S_ISUID | unix.S_ISGID

// lastCaller tells for how long the guest may remember what it is told. As a
// file belongs to whoever looks, another user must not see what the one before
// was told.
type lastCaller struct {
	mu    sync.Mutex
	who   fuse.Owner
	since time.Time
}

func (l *lastCaller) cache(who fuse.Owner) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if who != l.who {
		l.who, l.since = who, now
	}
	if now.Sub(l.since) < cached {
		return 0
	}
	return cached
}

// attributes describes a file to a user of the guest.
func (s *Server) attributes(n *node, st *unix.Stat_t, who fuse.Owner) fuse.Attr {
	a := fuse.Attr{
		Ino: s.nodes.number(st.Dev, st.Ino), Size: uint64(st.Size), Blocks: uint64(st.Blocks), Blksize: uint32(st.Blksize),
		Atime: uint64(st.Atim.Sec), Mtime: uint64(st.Mtim.Sec), Ctime: uint64(st.Ctim.Sec),
		Atimensec: uint32(st.Atim.Nsec), Mtimensec: uint32(st.Mtim.Nsec), Ctimensec: uint32(st.Ctim.Nsec),
		Mode: st.Mode, Nlink: uint32(st.Nlink), Rdev: uint32(st.Rdev), Owner: who,
	}
	if n.kind != unix.S_IFDIR {
		a.Mode &^= rights
	}
	if owner, ok := n.owner(); ok {
		a.Owner = owner
	}
	return a
}

// owner is the user to whom the file was given in a guest. The node is held.
func (n *node) owner() (owner fuse.Owner, ok bool) {
	if !n.hasAttributes() {
		return owner, false
	}
	var text [32]byte
	size, err := unix.Getxattr(n.path(), ownerAttribute, text[:])
	if err != nil {
		return owner, false
	}
	_, err = fmt.Sscanf(string(text[:size]), "%d:%d", &owner.Uid, &owner.Gid)
	return owner, err == nil
}

// hasAttributes: others than files and directories have no attributes of users
// (xattr(7)).
func (n *node) hasAttributes() bool { return n.kind == unix.S_IFREG || n.kind == unix.S_IFDIR }

// give remembers a new owner. Where that cannot be, in a file that this process
// may not write or on a file system without attributes, the file stays
// everybody's. So does one that is given to root, who needs no ownership:
// programs that copy files as root give him each of them.
func (n *node) give(owner fuse.Owner) error {
	if !n.hasAttributes() {
		return nil
	}
	if owner == (fuse.Owner{}) {
		if err := unix.Removexattr(n.path(), ownerAttribute); err == unix.ENOSPC || err == unix.EIO {
			return err
		}
		return nil // there was none, or none can be
	}
	err := unix.Setxattr(n.path(), ownerAttribute, fmt.Appendf(nil, "%d:%d", owner.Uid, owner.Gid), 0)
	switch err {
	case unix.EACCES, unix.EPERM, unix.ENOTSUP:
		return nil
	}
	return err
}

// rootAttributes describes the directory with the shares.
func (s *Server) rootAttributes() fuse.Attr {
	return fuse.Attr{Ino: fuse.FUSE_ROOT_ID, Mode: unix.S_IFDIR | 0o555, Nlink: uint32(2 + len(s.shares))}
}

// entry tells the guest of a node.
func (s *Server) entry(n *node, st *unix.Stat_t, who fuse.Owner, out *fuse.EntryOut) {
	e := fuse.EntryOut{NodeId: n.id, Attr: s.attributes(n, st, who)}
	e.SetEntryTimeout(s.owners.cache(who))
	e.SetAttrTimeout(s.owners.cache(who))
	*out = e
}

// GetAttr implements fuse.RawFileSystem.
func (s *Server) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	if in.NodeId == fuse.FUSE_ROOT_ID {
		out.Attr = s.rootAttributes()
		return fuse.OK
	}
	return s.at(in.NodeId, func(n *node) error { return s.describe(n, in.Owner, out) })
}

func (s *Server) describe(n *node, who fuse.Owner, out *fuse.AttrOut) error {
	var st unix.Stat_t
	if err := unix.Fstat(n.fd, &st); err != nil {
		return err
	}
	out.Attr = s.attributes(n, &st, who)
	out.SetTimeout(s.owners.cache(who))
	return nil
}

// SetAttr implements fuse.RawFileSystem.
func (s *Server) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	return s.change(in.NodeId, func(n *node) error {
		if err := s.setMode(n, in); err != nil {
			return err
		}
		if err := s.setOwner(n, in); err != nil {
			return err
		}
		if err := s.setSize(n, in); err != nil {
			return err
		}
		if err := setTimes(n, in); err != nil {
			return err
		}
		return s.describe(n, in.Owner, out)
	})
}

func (s *Server) setMode(n *node, in *fuse.SetAttrIn) error {
	mode, ok := in.GetMode()
	if !ok {
		return nil
	}
	if n.kind == unix.S_IFLNK {
		return unix.ENOTSUP
	}
	return unix.Fchmodat(unix.AT_FDCWD, n.path(), n.allowed(mode), 0)
}

// allowed is what is left of a mode on the host.
func (n *node) allowed(mode uint32) uint32 {
	mode &= 0o7777
	if n.kind != unix.S_IFDIR {
		mode &^= rights
	}
	return mode
}

func (s *Server) setOwner(n *node, in *fuse.SetAttrIn) error {
	uid, hasUID := in.GetUID()
	gid, hasGID := in.GetGID()
	if !hasUID && !hasGID {
		return nil
	}
	owner, ok := n.owner()
	if !ok {
		owner = in.Owner
	}
	if hasUID {
		owner.Uid = uid
	}
	if hasGID {
		owner.Gid = gid
	}
	return n.give(owner)
}

func (s *Server) setSize(n *node, in *fuse.SetAttrIn) error {
	size, ok := in.GetSize()
	if !ok {
		return nil
	}
	if n.kind != unix.S_IFREG || size > 1<<63-1 {
		return unix.EINVAL
	}
	if fh, ok := in.GetFh(); ok {
		h, err := s.handles.acquire(fh, n.id)
		if err != nil {
			return err
		}
		defer s.handles.release(h)
		return unix.Ftruncate(h.fd, int64(size))
	}
	return unix.Truncate(n.path(), int64(size))
}

func setTimes(n *node, in *fuse.SetAttrIn) error {
	times := [2]unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Nsec: unix.UTIME_OMIT}}
	for i, t := range []struct {
		set, now uint32
		sec      uint64
		nsec     uint32
	}{
		{fuse.FATTR_ATIME, fuse.FATTR_ATIME_NOW, in.Atime, in.Atimensec},
		{fuse.FATTR_MTIME, fuse.FATTR_MTIME_NOW, in.Mtime, in.Mtimensec},
	} {
		switch {
		case in.Valid&t.now != 0:
			times[i] = unix.Timespec{Nsec: unix.UTIME_NOW}
		case in.Valid&t.set != 0:
			times[i] = unix.Timespec{Sec: int64(t.sec), Nsec: int64(t.nsec)}
		}
	}
	if times[0].Nsec == unix.UTIME_OMIT && times[1].Nsec == unix.UTIME_OMIT {
		return nil
	}
	return unix.UtimesNanoAt(n.fd, "", times[:], unix.AT_EMPTY_PATH)
}

// StatFs implements fuse.RawFileSystem.
func (s *Server) StatFs(_ <-chan struct{}, in *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	if in.NodeId == fuse.FUSE_ROOT_ID {
		*out = fuse.StatfsOut{Bsize: 4096, NameLen: unix.NAME_MAX}
		return fuse.OK
	}
	return s.at(in.NodeId, func(n *node) error {
		var st unix.Statfs_t
		if err := unix.Fstatfs(n.fd, &st); err != nil {
			return err
		}
		*out = fuse.StatfsOut{Blocks: st.Blocks, Bfree: st.Bfree, Bavail: st.Bavail, Files: st.Files, Ffree: st.Ffree,
			Bsize: uint32(st.Bsize), NameLen: uint32(st.Namelen), Frsize: uint32(st.Frsize)}
		return nil
	})
}

// at calls f with a node that is not the list of shares.
func (s *Server) at(id uint64, f func(n *node) error) fuse.Status {
	n, err := s.nodes.acquire(id)
	if err != nil {
		return status(err)
	}
	defer s.nodes.release(n)
	if n.key.share == nil {
		return fuse.Status(unix.EROFS)
	}
	return status(f(n))
}

// change is at for what writes.
func (s *Server) change(id uint64, f func(n *node) error) fuse.Status {
	return s.at(id, func(n *node) error {
		if n.readOnly() {
			return unix.EROFS
		}
		return f(n)
	})
}
