// Package agent is the host's side of the talk with vminitd: it waits for a
// machine's guest to call, speaks guest/api with it, and connects the streams
// of the processes that it starts.
package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/guest/api"
)

// maxMessage bounds what the guest may answer, in bytes.
const maxMessage = 16 << 20

// Link waits for a machine's guest.
type Link struct {
	machine vm.Machine
	calls   net.Listener
	streams *streams
}

// Listen gets ready for a machine that has not been started yet, so that its
// guest finds the host listening.
func Listen(m vm.Machine) (*Link, error) {
	calls, err := m.Listen(api.AgentPort)
	if err != nil {
		return nil, fmt.Errorf("listen for the guest: %w", err)
	}
	l, err := m.Listen(api.StreamPort)
	if err != nil {
		calls.Close()
		return nil, fmt.Errorf("listen for the guest's streams: %w", err)
	}
	return &Link{m, calls, acceptStreams(l)}, nil
}

// Close ends the listening.
func (l *Link) Close() error {
	err := l.calls.Close()
	if errors.Is(err, net.ErrClosed) { // the guest has called
		err = nil
	}
	return errors.Join(err, l.streams.close())
}

// Connect waits until the guest's agent serves and connects to it. An agent of
// another major version is refused. The error of a machine that has ended says
// why it has.
func (l *Link) Connect(ctx context.Context) (*Client, error) {
	if err := l.awaitCall(ctx); err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient("passthrough:///guest",
		grpc.WithTransportCredentials(insecure.NewCredentials()), // nobody is between host and guest
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.machine.Dial(ctx, api.AgentPort) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithNoProxy(), grpc.WithIdleTimeout(0), grpc.WithDisableServiceConfig())
	if err != nil {
		return nil, fmt.Errorf("connect to the guest's agent: %w", err)
	}
	c := &Client{machine: l.machine, streams: l.streams, conn: conn, agent: api.NewAgentClient(conn)}
	if c.info, err = c.agent.Info(ctx, &api.InfoRequest{}); err != nil {
		conn.Close()
		return nil, c.explain(fmt.Errorf("talk to the guest's agent: %w", err))
	}
	if c.info.Major != api.Major {
		conn.Close()
		return nil, fmt.Errorf("the guest's agent %s speaks version %d.%d and this Skerry %d.%d: rebuild the init image with make, so that both are of one build",
			c.info.Version, c.info.Major, c.info.Minor, api.Major, api.Minor)
	}
	return c, nil
}

// awaitCall waits for the guest to call. One call is all that is expected: what
// else comes is not the agent's.
func (l *Link) awaitCall(ctx context.Context) error {
	called := make(chan error, 1)
	go func() {
		c, err := l.calls.Accept()
		if err == nil {
			c.Close()
			l.calls.Close()
		}
		called <- err
	}()
	select {
	case err := <-called:
		if err == nil {
			return nil
		}
		select {
		case <-l.machine.Done():
			return ended(l.machine)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(endTimeout):
			return fmt.Errorf("wait for the guest: %w", err)
		}
	case <-l.machine.Done():
		return ended(l.machine)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// endTimeout is how long after its connections a machine may end for the one
// to be the reason of the other.
const endTimeout = time.Second

// ended says that the machine is gone.
func ended(m vm.Machine) error {
	if err := m.Err(); err != nil {
		return fmt.Errorf("the machine ended: %w", err)
	}
	return errors.New("the machine ended: its guest powered off, or it was stopped")
}

// Client talks to a guest's agent. Its methods may be called from any
// goroutine.
type Client struct {
	machine vm.Machine
	streams *streams
	conn    *grpc.ClientConn
	agent   api.AgentClient
	info    *api.InfoResponse
	leased  atomic.Pointer[[]*api.Interface]
}

// Leased are the machine's interfaces that have got their addresses by DHCP, once
// it is configured.
func (c *Client) Leased() []*api.Interface {
	if leased := c.leased.Load(); leased != nil {
		return *leased
	}
	return nil
}

// Close ends the connection; processes go on.
func (c *Client) Close() error { return c.conn.Close() }

// StartUp is how long vminitd took from its start until it served.
func (c *Client) StartUp() time.Duration {
	return time.Duration(c.info.ServingNs - min(c.info.InitStartedNs, c.info.ServingNs))
}

// Info asks who the agent is and what it holds.
func (c *Client) Info(ctx context.Context) (*api.InfoResponse, error) {
	r, err := c.agent.Info(ctx, &api.InfoRequest{})
	return r, c.explain(err)
}

// explain puts the end of the machine in place of what it did to a call.
func (c *Client) explain(err error) error {
	if status.Code(err) == codes.Unavailable { // the connection broke: the machine may be on its end
		select {
		case <-c.machine.Done():
		case <-time.After(endTimeout):
		}
	}
	select {
	case <-c.machine.Done():
		if err != nil {
			return ended(c.machine)
		}
	default:
	}
	return plain(err)
}

// SetTime sets the guest's clock, unless it is wrong by less than the
// tolerance.
func (c *Client) SetTime(ctx context.Context, t time.Time, tolerance time.Duration) error {
	_, err := c.agent.SetTime(ctx, &api.SetTimeRequest{Time: timestamppb.New(t), Tolerance: durationpb.New(tolerance)})
	return c.explain(err)
}

// Shutdown ends all containers and has their disks flushed. After it the machine
// can be stopped without loss.
func (c *Client) Shutdown(ctx context.Context) error {
	_, err := c.agent.Shutdown(ctx, &api.ShutdownRequest{})
	return c.explain(err)
}
