//go:build linux

// Package sharefs serves directories of the host to a guest as one file system,
// in answer to requests of the FUSE protocol, which a virtio-fs device carries.
//
// The guest is hostile, and so may others be who change the directories
// meanwhile. A file is known by a descriptor that refers to it and nothing
// else (O_PATH), a name is looked up in one directory at a time and never
// through a symbolic link (openat2), and no path of the host is ever put
// together: there is none that could be made to lead out of a share.
//
// All is done with the rights of this process. To whoever looks at it in the
// guest a file is his own, unless somebody there has given it away: chown is
// remembered in an extended attribute, so that users of the guest can write
// what the host's user owns, and nobody on the host gets files that he did not
// have. Bits that would give a program the rights of its owner are neither
// shown nor set, and device nodes cannot be made.
package sharefs

import (
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Share is a directory of the host that the guest sees under a name.
type Share struct {
	Name     string
	Path     string
	File     string // if set, nothing but this file of the directory is there
	ReadOnly bool
}

// share is an open Share.
type share struct {
	Share
	root *node
}

// Server answers the requests of one guest. Its methods may be called from any
// goroutine.
type Server struct {
	fuse.RawFileSystem // what is not there: ENOSYS

	protocol *fuse.ProtocolServer
	log      *slog.Logger
	warned   sync.Once
	shares   []*share
	nodes    table
	handles  handles
	owners   lastCaller
}

// New opens the directories. Close lets go of them.
func New(shares []Share, log *slog.Logger) (*Server, error) {
	s := &Server{RawFileSystem: fuse.NewDefaultRawFileSystem(), log: log}
	s.nodes.init()
	s.handles.init(&s.nodes)
	for _, one := range shares {
		if err := checkName(one.Name); err != nil || s.share(one.Name) != nil {
			s.Close()
			return nil, fmt.Errorf("share %q: use a name of one word, and each once", one.Name)
		}
		opened := &share{Share: one}
		s.shares = append(s.shares, opened)
		if err := s.open(opened); err != nil {
			s.Close()
			return nil, fmt.Errorf("share %s: %w", one.Path, err)
		}
	}
	s.protocol = fuse.NewProtocolServer(s, &fuse.MountOptions{
		MaxWrite:          maxData,
		MaxBackground:     maxBackground,
		ExtraCapabilities: fuse.CAP_READDIRPLUS_AUTO | fuse.CAP_HANDLE_KILLPRIV_V2,
		Logger:            discard,
		PanicHandler:      s.panicked,
	})
	return s, nil
}

// open makes the node of a share's directory, which stays.
func (s *Server) open(sh *share) error {
	if sh.File != "" {
		if err := checkName(sh.File); err != nil {
			return err
		}
	}
	fd, err := unix.Open(sh.Path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: sh.Path, Err: err}
	}
	sh.root, _, err = s.nodes.add(sh, nil, sh.Name, fd) // and held for good, whatever the guest forgets
	return err
}

// Close closes all that is open. No request may be under way.
func (s *Server) Close() {
	s.handles.closeAll()
	s.nodes.closeAll()
}

func (s *Server) share(name string) *share {
	for _, sh := range s.shares {
		if sh.Name == name {
			return sh
		}
	}
	return nil
}

// discard is for the protocol server, which would tell of every malformed
// request.
var discard = log.New(io.Discard, "", 0)

// panicked turns a mistake in here into an error for the guest.
func (s *Server) panicked(what any) fuse.Status {
	s.warned.Do(func() { s.log.Error("a request for a shared directory failed by a mistake of Skerry", "panic", what) })
	return fuse.EIO
}

// String implements fuse.RawFileSystem.
func (s *Server) String() string { return "skerry" }

// status turns an error into what the guest is told.
func status(err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	var errno unix.Errno
	if errors.As(err, &errno) && errno > 0 {
		return fuse.Status(errno)
	}
	return fuse.EIO
}

// checkName refuses what is not the name of something in a directory.
func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return unix.EINVAL
	case len(name) > unix.NAME_MAX:
		return unix.ENAMETOOLONG
	}
	for i := range len(name) {
		if name[i] == '/' || name[i] == 0 {
			return unix.EINVAL
		}
	}
	return nil
}
