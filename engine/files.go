package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/engine/agent"
)

// FileInfo is what is at a path of a container.
type FileInfo struct {
	Name       string
	Size       int64
	Mode       fs.FileMode
	Modified   time.Time
	LinkTarget string // of a symbolic link: where it leads inside the container
}

// StatFile looks at a path of the container. One that is not there gives
// errdefs.ErrNotFound. A link is not followed unless a slash follows it.
func (c *Container) StatFile(ctx context.Context, path string) (info FileInfo, err error) {
	err = c.withGuest(ctx, func(g *agent.Container) error {
		st, err := g.StatFile(ctx, path)
		if err != nil {
			return err
		}
		info = FileInfo{Name: st.Name, Size: st.Size, Mode: fileMode(st.Mode), Modified: st.Modified.AsTime(), LinkTarget: st.LinkTarget}
		return nil
	})
	return info, err
}

// ReadFiles writes what is at a path of the container to w as a tar archive. When
// begin is not nil it is called first, with what is there.
func (c *Container) ReadFiles(ctx context.Context, path string, begin func(FileInfo), w io.Writer) error {
	return c.withGuest(ctx, func(g *agent.Container) error {
		st, err := g.StatFile(ctx, path)
		if err != nil {
			return err
		}
		if begin != nil {
			begin(FileInfo{Name: st.Name, Size: st.Size, Mode: fileMode(st.Mode), Modified: st.Modified.AsTime(), LinkTarget: st.LinkTarget})
		}
		return g.ReadFiles(ctx, path, w)
	})
}

// WriteFiles unpacks a tar archive into a directory of the container. With
// keepKinds nothing takes the place of what is a directory and it is not, or
// the other way round.
func (c *Container) WriteFiles(ctx context.Context, path string, from io.Reader, keepKinds bool) error {
	return c.withGuest(ctx, func(g *agent.Container) error { return g.WriteFiles(ctx, path, from, keepKinds) })
}

// withGuest calls f with a guest that has the container's files. That of a
// container that runs is at hand; for one that does not, a machine is started
// with its disks, unless its pod has one.
func (c *Container) withGuest(ctx context.Context, f func(*agent.Container) error) error {
	if r := c.liveRun(); r != nil {
		return c.withRun(r, f)
	}
	unlock, err := c.lockOp(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := c.settle(ctx); err != nil {
		return err
	}
	if r := c.liveRun(); r != nil { // started meanwhile
		return c.withRun(r, f)
	}
	switch {
	case c.isRemoved():
		return errdefs.ErrNotFound.WithMessage("No such container: " + c.id)
	case c.engine.closing():
		return errdefs.ErrUnavailable.WithMessage("the app is stopping")
	}
	r := newRun(c)
	r.filesOnly = true
	defer func() { r.release(r.process != nil) }()
	if err := r.openFiles(ctx); err != nil {
		return fmt.Errorf("look into container %s, which does not run: %w", c.name(), err)
	}
	return f(r.guest)
}

func (c *Container) withRun(r *run, f func(*agent.Container) error) error {
	if c.Snapshot().State.Status == StatusPaused {
		return errdefs.ErrConflict.WithMessage(fmt.Sprintf("container %s is paused: unpause it to reach its files", c.name()))
	}
	return f(r.guest)
}

// openFiles prepares the container in a machine, and leaves its process
// unstarted.
func (r *run) openFiles(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, bootTimeout, errors.New("its machine did not start in "+bootTimeout.String()))
	defer cancel()
	if err := r.open(ctx); err != nil {
		return err
	}
	return r.create(ctx, agent.Stdio{})
}

// fileMode converts st_mode of Linux, whatever the host is.
func fileMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	switch mode & 0o170000 {
	case 0o040000:
		m |= fs.ModeDir
	case 0o120000:
		m |= fs.ModeSymlink
	case 0o010000:
		m |= fs.ModeNamedPipe
	case 0o140000:
		m |= fs.ModeSocket
	case 0o020000:
		m |= fs.ModeDevice | fs.ModeCharDevice
	case 0o060000:
		m |= fs.ModeDevice
	}
	for bit, flag := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if mode&bit != 0 {
			m |= flag
		}
	}
	return m
}
