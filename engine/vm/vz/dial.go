package vz

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/skerry-app/skerry/engine/vm"
)

const (
	// dialPause is between two tries to reach a guest that does not answer yet.
	dialPause = 20 * time.Millisecond
	// dialTimeout bounds one try: before the guest's driver is up, and while the
	// machine is paused, the framework's answer may come late or never.
	dialTimeout = time.Second
)

// guest is a machine's far end as seen from here.
type guest struct {
	// up tells whether the guest's vsock driver is known to work, because there
	// has been a connection.
	up func() bool
	// gone is closed when the machine has ended.
	gone <-chan struct{}
	// connect tries once.
	connect func(ctx context.Context, port uint32) (vm.Conn, error)
}

// dial connects to a port of the guest. The framework refuses in the same words
// while the guest's driver is not up, which is waited for, and where nobody
// listens.
func (g guest) dial(ctx context.Context, port uint32) (vm.Conn, error) {
	for {
		select {
		case <-g.gone:
			return nil, fmt.Errorf("dial port %d of the guest: %w", port, net.ErrClosed)
		default:
		}
		wasUp := g.up()
		try, cancel := context.WithTimeout(ctx, dialTimeout)
		c, err := g.connect(try, port)
		late := try.Err() != nil
		cancel()
		switch {
		case err == nil:
			return c, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("dial port %d of the guest: %w", port, context.Cause(ctx))
		case wasUp && !late && !errors.Is(err, net.ErrClosed):
			return nil, fmt.Errorf("dial port %d of the guest: %w (%w)", port, syscall.ECONNREFUSED, err)
		}
		select {
		case <-g.gone:
		case <-ctx.Done():
		case <-time.After(dialPause):
		}
	}
}
