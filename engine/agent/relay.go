package agent

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/guest/api"
)

// maxRelayed bounds how many connections a relay has at once: each costs the
// host two descriptors.
const maxRelayed = 256

// Relay takes the connections that a socket in the container gets.
type Relay struct {
	id      uint64
	s       *streams
	handle  func(vm.Conn)
	current atomic.Int32
}

// Relay has handle called, each time in a goroutine of its own, with the
// connections that the guest makes under a number, Relay.Stream. It owns them.
func (c *Container) Relay(handle func(vm.Conn)) *Relay {
	s := c.streams
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &Relay{id: s.newID(), s: s, handle: handle}
	s.relays[r.id] = r
	return r
}

// Stream is the number for api.Socket.
func (r *Relay) Stream() uint64 { return r.id }

func (r *Relay) take(c vm.Conn) {
	if r.current.Add(1) > maxRelayed {
		r.current.Add(-1)
		c.Close()
		return
	}
	go func() {
		defer r.current.Add(-1)
		r.handle(c)
	}()
}

// Close takes no more connections.
func (r *Relay) Close() {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	delete(r.s.relays, r.id)
}

// DialSocket connects to a unix socket of the container. One on which nothing
// listens gives ECONNREFUSED.
func (c *Container) DialSocket(ctx context.Context, path string) (vm.Conn, error) {
	conn, err := c.forward(ctx, api.Forward{Container: c.id, Path: path})
	if err != nil {
		return nil, fmt.Errorf("socket %s of the container: %w", path, err)
	}
	return conn, nil
}

// DialPort connects to a TCP port of the machine. A port on which nothing
// listens gives ECONNREFUSED.
func (c *Client) DialPort(ctx context.Context, port uint16) (vm.Conn, error) {
	conn, err := c.forward(ctx, api.Forward{Port: port})
	if err != nil {
		return nil, fmt.Errorf("port %d of the container: %w", port, err)
	}
	return conn, nil
}

func (c *Client) forward(ctx context.Context, to api.Forward) (vm.Conn, error) {
	conn, err := c.machine.Dial(ctx, api.ForwardPort)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	err = api.WriteForward(conn, to)
	if err == nil {
		err = api.ReadStatus(conn)
	}
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}
