//go:build linux

package server

import (
	"errors"
	"log"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/mdlayher/vsock"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/stream"
)

// Bounds of forwarded connections.
const (
	forwardHeader = 10 * time.Second // for the host to name the port
	forwardDial   = 10 * time.Second // for the container to accept
)

// Forward carries connections of the host to TCP ports of the machine and to
// sockets of its containers until the listener closes.
func (s *Server) Forward(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			log.Print("forward: ", err)
			return
		}
		go s.forward(c.(*vsock.Conn))
	}
}

func (s *Server) forward(host *vsock.Conn) {
	host.SetReadDeadline(time.Now().Add(forwardHeader))
	f, err := api.ReadForward(host)
	if err != nil {
		host.Close()
		return
	}
	host.SetReadDeadline(time.Time{})
	inside, err := s.dial(f)
	if err != nil {
		api.WriteStatus(host, errno(err))
		host.Close()
		return
	}
	if err := api.WriteStatus(host, 0); err != nil {
		inside.Close()
		host.Close()
		return
	}
	stream.Splice(host, inside)
}

func (s *Server) dial(f api.Forward) (stream.Conn, error) {
	if f.Port == 0 {
		return s.dialSocket(f.Container, f.Path)
	}
	c, err := net.DialTimeout("tcp", net.JoinHostPort(s.forwardAddress(), strconv.Itoa(int(f.Port))), forwardDial)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// forwardAddress is where the container's servers are looked for: on its own
// address, as on a network, not on its loopback.
func (s *Server) forwardAddress() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.address == "" {
		return "127.0.0.1"
	}
	return s.address
}

// errno returns the number under a failed dial.
func errno(err error) syscall.Errno {
	var e syscall.Errno
	var ne net.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &ne) && ne.Timeout():
		return syscall.ETIMEDOUT
	default:
		return syscall.ECONNREFUSED
	}
}
