//go:build linux

package server

import (
	"context"
	"fmt"
	"log"
	"math"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/disk"
)

// Requests of ioctl(2) to a file system (linux/fs.h).
const (
	freezeRequest = 0xc0045877 // FIFREEZE
	thawRequest   = 0xc0045878 // FITHAW
	trimRequest   = 0xc0185879 // FITRIM
)

// fileSystem opens the file system at a path of a container. Of the root that is
// the scratch disk's: an overlay has nothing to freeze.
func (s *Server) fileSystem(container, path string) (int, error) {
	c, err := s.container(container)
	if err != nil {
		return -1, err
	}
	root, err := c.table.Root()
	if err != nil {
		return -1, err
	}
	defer unix.Close(int(root))
	// No device or pipe is opened: a directory or a plain file has to be there.
	found, err := unix.Openat2(int(root), path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(found)
	var st unix.Stat_t
	if err := unix.Fstat(found, &st); err != nil {
		return -1, err
	}
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFDIR && kind != unix.S_IFREG {
		return -1, &os.PathError{Op: "open", Path: path, Err: unix.ENOTDIR}
	}
	place := fmt.Sprintf("/proc/self/fd/%d", found)
	var fs unix.Statfs_t
	if err := unix.Fstatfs(found, &fs); err != nil {
		return -1, err
	}
	if fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		place = disk.Path(c.scratch)
	}
	fd, err := unix.Open(place, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// frozen is a file system that is held up.
type frozen struct {
	fd   int // of it
	thaw *time.Timer
}

// end thaws the file system, which may have been thawed from inside.
func (f *frozen) end() error {
	f.thaw.Stop()
	defer unix.Close(f.fd)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(f.fd), thawRequest, 0); errno != 0 {
		return errno
	}
	return nil
}

// FreezeFiles implements api.AgentServer.
func (s *Server) FreezeFiles(_ context.Context, r *api.FreezeFilesRequest) (*api.FreezeFilesResponse, error) {
	fd, err := s.fileSystem(r.Container, r.Path)
	if err != nil {
		return nil, failed(err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), freezeRequest, 0); errno != 0 {
		unix.Close(fd)
		return nil, failed(fmt.Errorf("freeze the file system at %s: %w", r.Path, errno))
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, failed(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// The host may go away, and what waits for the file system cannot be killed.
	s.frozen[st.Dev] = &frozen{fd, time.AfterFunc(r.Limit.AsDuration(), func() {
		if s.thaw(st.Dev) == nil {
			log.Printf("the file system at %s of container %s was frozen for too long", r.Path, r.Container)
		}
	})}
	return &api.FreezeFilesResponse{}, nil
}

// errNotFrozen is what the kernel says of a file system that is not.
const errNotFrozen = unix.EINVAL

// thaw ends the freeze of the file system on a device.
func (s *Server) thaw(device uint64) error {
	s.mu.Lock()
	f := s.frozen[device]
	delete(s.frozen, device)
	s.mu.Unlock()
	if f == nil {
		return errNotFrozen
	}
	return f.end()
}

// thawAll lets go of all file systems, before what waits for them is killed.
func (s *Server) thawAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for device, f := range s.frozen {
		f.end()
		delete(s.frozen, device)
	}
}

// ThawFiles implements api.AgentServer.
func (s *Server) ThawFiles(_ context.Context, r *api.ThawFilesRequest) (*api.ThawFilesResponse, error) {
	fd, err := s.fileSystem(r.Container, r.Path)
	if err != nil {
		return nil, failed(err)
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	unix.Close(fd)
	if err == nil {
		err = s.thaw(st.Dev)
	}
	if err != nil {
		return nil, failed(fmt.Errorf("thaw the file system at %s: %w", r.Path, err))
	}
	return &api.ThawFilesResponse{}, nil
}

// TrimFiles implements api.AgentServer.
func (s *Server) TrimFiles(_ context.Context, r *api.TrimFilesRequest) (*api.TrimFilesResponse, error) {
	// struct fstrim_range: the whole, in pieces of any size.
	what := struct{ start, length, least uint64 }{0, math.MaxUint64, 0}
	fd, err := s.fileSystem(r.Container, r.Path)
	if err != nil {
		return nil, failed(err)
	}
	defer unix.Close(fd)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), trimRequest, uintptr(unsafe.Pointer(&what))); errno != 0 {
		return nil, failed(fmt.Errorf("trim the file system at %s: %w", r.Path, errno))
	}
	return &api.TrimFilesResponse{Bytes: what.length}, nil
}
