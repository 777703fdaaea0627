package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/containerd/errdefs"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/guest/api"
)

// StatFile looks at a path of the container. A path that is not there gives
// errdefs.ErrNotFound.
func (c *Container) StatFile(ctx context.Context, path string) (*api.StatFileResponse, error) {
	r, err := c.agent.StatFile(ctx, &api.StatFileRequest{Container: c.id, Path: path})
	return r, c.explainFile(err)
}

// ReadFiles writes what is at a path of the container to w, as a tar archive.
func (c *Container) ReadFiles(ctx context.Context, path string, w io.Writer) error {
	return c.transfer(ctx, func(ctx context.Context, stream uint64) error {
		_, err := c.agent.ReadFiles(ctx, &api.ReadFilesRequest{Container: c.id, Path: path, Stream: stream})
		return err
	}, func(conn vm.Conn) error {
		_, err := io.Copy(w, conn)
		return err
	})
}

// WriteFiles unpacks a tar archive into a directory of the container. With
// keepKinds nothing takes the place of what is a directory and it is not, or
// the other way round. What cannot be unpacked there gives
// errdefs.ErrInvalidArgument.
func (c *Container) WriteFiles(ctx context.Context, path string, from io.Reader, keepKinds bool) error {
	return c.transfer(ctx, func(ctx context.Context, stream uint64) error {
		_, err := c.agent.WriteFiles(ctx, &api.WriteFilesRequest{Container: c.id, Path: path, Stream: stream, KeepKinds: keepKinds})
		return err
	}, func(conn vm.Conn) error {
		_, err := io.Copy(conn, from)
		return errors.Join(err, conn.CloseWrite())
	})
}

// FreezeFiles holds up writing to the file system at a path, for so long at most.
func (c *Container) FreezeFiles(ctx context.Context, path string, limit time.Duration) error {
	_, err := c.agent.FreezeFiles(ctx, &api.FreezeFilesRequest{Container: c.id, Path: path, Limit: durationpb.New(limit)})
	return c.explainFile(err)
}

// ThawFiles lets writing to the file system at a path go on.
func (c *Container) ThawFiles(ctx context.Context, path string) error {
	_, err := c.agent.ThawFiles(ctx, &api.ThawFilesRequest{Container: c.id, Path: path})
	return c.explainFile(err)
}

// TrimFiles tells the disk what the file system at a path does not use.
func (c *Container) TrimFiles(ctx context.Context, path string) (bytes uint64, err error) {
	r, err := c.agent.TrimFiles(ctx, &api.TrimFilesRequest{Container: c.id, Path: path})
	return r.GetBytes(), c.explainFile(err)
}

// transfer makes a call during which the guest dials a stream, and moves data
// over that.
func (c *Client) transfer(ctx context.Context, call func(context.Context, uint64) error, move func(vm.Conn) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e := c.streams.expect()
	defer e.cancel()
	called := make(chan error, 1)
	go func() { called <- call(ctx, e.id) }()
	var conn vm.Conn
	select {
	case err := <-called:
		if err == nil {
			err = errNoStream
		}
		return c.explainFile(err)
	case conn = <-e.conn:
	}
	moved := make(chan error, 1)
	go func() { moved <- move(conn) }()
	var moveErr, callErr error
	select {
	case moveErr = <-moved:
		if moveErr != nil {
			cancel()
		}
		callErr = <-called
		conn.Close()
	case callErr = <-called:
		if callErr != nil {
			conn.Close() // the guest takes or sends no more
		}
		moveErr = <-moved
		conn.Close()
	}
	if callErr != nil && status.Code(callErr) != codes.Canceled {
		return c.explainFile(callErr)
	}
	if moveErr != nil {
		return fmt.Errorf("copy files: %w", moveErr)
	}
	return c.explainFile(callErr)
}

// explainFile gives errors about files their class.
func (c *Client) explainFile(err error) error {
	text := status.Convert(err).Message()
	switch status.Code(err) {
	case codes.NotFound:
		return errdefs.ErrNotFound.WithMessage(text)
	case codes.InvalidArgument:
		return errdefs.ErrInvalidArgument.WithMessage(text)
	}
	return c.explain(err)
}
