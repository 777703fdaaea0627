package network

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	// dialTimeout bounds a connection attempt to the outside.
	dialTimeout = 30 * time.Second

	// handshakeTimeout bounds the wait for a guest to finish a handshake that it began.
	handshakeTimeout = 10 * time.Second

	// handshakePoke is how often a handshake that must end is told so.
	handshakePoke = 10 * time.Millisecond
)

// acceptTCP carries one connection of a guest to the outside. It connects there first, so that the guest
// learns the outcome from its own handshake: refused and unreachable are a reset, silence stays silence.
// The forwarder calls it in a goroutine of its own.
func (g *gateway) acceptTCP(r *tcp.ForwarderRequest) {
	id := r.ID()
	from, to := addrPort(id.RemoteAddress, id.RemotePort), addrPort(id.LocalAddress, id.LocalPort)
	ep := g.guest(from.Addr())
	targets := g.targets(to)
	if ep == nil || len(targets) == 0 {
		r.Complete(true)
		return
	}
	done, err := ep.flows.start(tcpFlow)
	if err != nil {
		g.log.Warn("connection of a container refused", "container", ep.name, "to", to, "error", err)
		r.Complete(true)
		return
	}
	defer done()

	ctx := ep.flows.ctx
	out, err := dialFirst(ctx, targets)
	if err != nil {
		g.log.Debug("connection of a container failed", "container", ep.name, "to", to, "error", err)
		var timeout net.Error
		silent := errors.As(err, &timeout) && timeout.Timeout()
		r.Complete(!silent)
		return
	}
	in, err := handshake(ctx, r)
	if err != nil {
		reset(out)
		return
	}
	stop := context.AfterFunc(ctx, func() {
		reset(in)
		reset(out)
	})
	defer stop()
	Splice(in, out)
}

// dialFirst connects to the first of the addresses that does not refuse.
func dialFirst(ctx context.Context, to []netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var dialer net.Dialer
	var first error
	for _, at := range to {
		conn, err := dialer.DialContext(ctx, "tcp", at.String())
		if err == nil {
			return conn, nil
		}
		if first == nil {
			first = err
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
	}
	return nil, first
}

// handshake completes the guest's side of a connection.
func handshake(ctx context.Context, r *tcp.ForwarderRequest) (*guestConn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	var queue waiter.Queue
	finished := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		// CreateEndpoint waits for an event on the queue, and gives up when it then finds the handshake
		// incomplete. It may not be waiting yet, hence the repetition.
		for {
			queue.Notify(waiter.WritableEvents)
			select {
			case <-finished:
				return
			case <-time.After(handshakePoke):
			}
		}
	})
	ep, err := r.CreateEndpoint(&queue)
	close(finished)
	stop()
	r.Complete(false)
	if err != nil {
		return nil, errors.New(err.String())
	}
	return &guestConn{TCPConn: gonet.NewTCPConn(&queue, ep), ep: ep}, nil
}

// guestConn is the stack's end of a guest's connection.
type guestConn struct {
	*gonet.TCPConn
	ep tcpip.Endpoint
}

// Reset ends the connection with an RST.
func (c *guestConn) Reset() error {
	c.ep.Abort()
	return nil
}
