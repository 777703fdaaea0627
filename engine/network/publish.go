package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// guestDialTimeout bounds the way from an accepted connection to the container.
	guestDialTimeout = 10 * time.Second

	// publishedAtOnce bounds the connections of one published port. More wait in the kernel's backlog.
	publishedAtOnce = 4096

	// acceptRetry is the pause after a failed accept: the process may be out of descriptors.
	acceptRetry = 50 * time.Millisecond
)

// PortSpec asks for a port of a container to be reachable on the host.
type PortSpec struct {
	HostIP        string // address to listen on; "" means both loopback addresses, 127.0.0.1 and ::1
	HostPort      uint16 // 0 means any free one, the same on both loopback addresses
	ContainerPort uint16
	Protocol      string // "tcp", the default
}

// Binding is one address of the host that leads to a container's port.
type Binding struct {
	Host          netip.AddrPort
	ContainerPort uint16
	Protocol      string // "tcp"
}

// DialFunc connects to a port of a container. The connection should have CloseRead and CloseWrite, and
// Reset if it can tell its peer about a failure; see Splice.
type DialFunc func(ctx context.Context, port uint16) (net.Conn, error)

// Publisher makes containers' ports reachable on the host.
type Publisher struct {
	log *slog.Logger
}

// NewPublisher returns a publisher that logs connections which do not reach their container. A nil log
// means slog.Default.
func NewPublisher(log *slog.Logger) *Publisher {
	if log == nil {
		log = slog.Default()
	}
	return &Publisher{log: log}
}

// Published is a port being published.
type Published struct {
	log       *slog.Logger
	dial      DialFunc
	bindings  []Binding
	listeners []net.Listener
	slots     chan struct{} // one for each connection

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	active sync.WaitGroup
}

// Publish listens on the host, and joins each connection with one that dial makes. It dials as soon as a
// connection is accepted, because with many protocols the server speaks first. A client whose container
// cannot be dialled gets a reset. Nothing is left behind when Publish returns an error; it then names
// the address and, where that can be found out, who has it. ctx is for listening only: the port stays
// published until Close.
func (p *Publisher) Publish(ctx context.Context, spec PortSpec, dial DialFunc) (*Published, error) {
	if spec.Protocol == "" {
		spec.Protocol = "tcp"
	}
	if spec.Protocol != "tcp" {
		return nil, fmt.Errorf("publish container port %d/%s: publishing %s ports is not supported yet", spec.ContainerPort, spec.Protocol, spec.Protocol)
	}
	if spec.ContainerPort == 0 {
		return nil, errors.New("publish: the container port must be 1 to 65535")
	}
	listeners, err := listen(ctx, spec.HostIP, spec.HostPort)
	if err != nil {
		return nil, fmt.Errorf("publish container port %d: %w", spec.ContainerPort, err)
	}
	pub := &Published{
		log:       p.log,
		dial:      dial,
		listeners: listeners,
		slots:     make(chan struct{}, publishedAtOnce),
	}
	pub.ctx, pub.cancel = context.WithCancel(context.Background())
	for _, l := range listeners {
		b := Binding{Host: l.Addr().(*net.TCPAddr).AddrPort(), ContainerPort: spec.ContainerPort, Protocol: spec.Protocol}
		pub.bindings = append(pub.bindings, b)
		pub.active.Go(func() { pub.serve(l, b) })
	}
	return pub, nil
}

// Bindings returns the addresses that lead to the container, IPv4 before IPv6.
func (p *Published) Bindings() []Binding { return append([]Binding(nil), p.bindings...) }

// Close stops listening and ends all connections. It returns when they have ended.
func (p *Published) Close() error {
	p.cancel()
	for _, l := range p.listeners {
		l.Close()
	}
	p.active.Wait()
	return nil
}

// serve accepts connections until the listener is closed.
func (p *Published) serve(l net.Listener, b Binding) {
	for {
		select {
		case p.slots <- struct{}{}:
		case <-p.ctx.Done():
			return
		}
		client, err := l.Accept()
		if err == nil {
			p.active.Go(func() {
				defer func() { <-p.slots }()
				p.join(client, b)
			})
			continue
		}
		<-p.slots
		if p.ctx.Err() != nil {
			return
		}
		p.log.Warn("published port: accept failed", "address", b.Host, "error", err)
		select {
		case <-time.After(acceptRetry):
		case <-p.ctx.Done():
			return
		}
	}
}

// join connects an accepted client with the container.
func (p *Published) join(client net.Conn, b Binding) {
	ctx, cancel := context.WithTimeout(p.ctx, guestDialTimeout)
	guest, err := p.dial(ctx, b.ContainerPort)
	cancel()
	if err != nil {
		reset(client)
		if p.ctx.Err() == nil {
			p.log.Warn("published port: the container does not answer",
				"address", b.Host, "port", b.ContainerPort, "client", client.RemoteAddr(), "error", err)
		}
		return
	}
	stop := context.AfterFunc(p.ctx, func() {
		reset(client)
		reset(guest)
	})
	defer stop()
	Splice(client, guest)
}
