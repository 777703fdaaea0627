//go:build linux

package server

import (
	"bufio"
	"context"
	"io"
	"path"
	"time"

	"github.com/mdlayher/vsock"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/archive"
	"github.com/skerry-app/skerry/guest/stream"
)

// StatFile implements api.AgentServer.
func (s *Server) StatFile(_ context.Context, r *api.StatFileRequest) (*api.StatFileResponse, error) {
	root, err := s.root(r.Container)
	if err != nil {
		return nil, failed(err)
	}
	defer unix.Close(int(root))
	st, target, err := root.Stat(r.Path)
	if err != nil {
		return nil, failed(err)
	}
	return &api.StatFileResponse{Name: path.Base(path.Clean("/" + r.Path)), Size: st.Size, Mode: st.Mode, LinkTarget: target,
		Modified: timestamppb.New(time.Unix(st.Mtim.Sec, st.Mtim.Nsec))}, nil
}

// archiveBuffer is the size of the pieces in which an archive travels.
const archiveBuffer = 256 << 10

// root opens a container's root.
func (s *Server) root(container string) (archive.Root, error) {
	c, err := s.container(container)
	if err != nil {
		return -1, err
	}
	return c.table.Root()
}

// files opens a container's root and the stream for an archive, which ends with
// ctx. done closes both.
func (s *Server) files(ctx context.Context, container string, id uint64) (root archive.Root, conn *vsock.Conn, done func(), err error) {
	if root, err = s.root(container); err != nil {
		return root, nil, nil, err
	}
	if conn, err = stream.Dial(ctx, id); err != nil {
		unix.Close(int(root))
		return root, nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	return root, conn, func() {
		stop()
		conn.Close()
		unix.Close(int(root))
	}, nil
}

// ReadFiles implements api.AgentServer.
func (s *Server) ReadFiles(ctx context.Context, r *api.ReadFilesRequest) (*api.ReadFilesResponse, error) {
	root, conn, done, err := s.files(ctx, r.Container, r.Stream)
	if err != nil {
		return nil, failed(err)
	}
	defer done()
	w := bufio.NewWriterSize(conn, archiveBuffer)
	err = root.Pack(w, r.Path)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return nil, failed(err)
	}
	return &api.ReadFilesResponse{}, nil
}

// WriteFiles implements api.AgentServer.
func (s *Server) WriteFiles(ctx context.Context, r *api.WriteFilesRequest) (*api.WriteFilesResponse, error) {
	root, conn, done, err := s.files(ctx, r.Container, r.Stream)
	if err != nil {
		return nil, failed(err)
	}
	defer done()
	if err := root.Unpack(bufio.NewReaderSize(conn, archiveBuffer), r.Path, archive.Options{KeepKinds: r.KeepKinds}); err != nil {
		return nil, failed(err)
	}
	io.Copy(io.Discard, conn) // what follows the archive's end, so that the host need not wait
	return &api.WriteFilesResponse{}, nil
}
