//go:build linux

package cgroup

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// WatchOOM calls kills with the number of processes that the kernel has killed
// for want of memory since the call before, or since WatchOOM was called,
// whenever there are some. It returns when ctx ends or kills gives an error.
func (g *Group) WatchOOM(ctx context.Context, kills func(int) error) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watch the container's memory: %w", err)
	}
	events := os.NewFile(uintptr(fd), "inotify") // non-blocking: Close ends a Read
	defer events.Close()
	if _, err := unix.InotifyAddWatch(fd, g.path+"/memory.events", unix.IN_MODIFY); err != nil {
		return fmt.Errorf("watch the container's memory: %w", err)
	}
	defer context.AfterFunc(ctx, func() { events.Close() })()
	before := g.OOMKills()
	buf := make([]byte, 4096)
	for {
		if _, err := events.Read(buf); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("watch the container's memory: %w", err)
		}
		now := g.OOMKills()
		if now <= before {
			continue
		}
		if err := kills(now - before); err != nil {
			return err
		}
		before = now
	}
}
