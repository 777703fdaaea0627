//go:build linux

package server

import (
	"errors"
	"io"
	"log"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/mdlayher/vsock"

	"github.com/skerry-app/skerry/guest/api"
)

// Bounds of forwarded connections.
const (
	forwardHeader = 10 * time.Second // for the host to name the port
	forwardDial   = 10 * time.Second // for the container to accept
)

// Forward carries connections of the host to TCP ports of the container until
// the listener closes.
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
	defer host.Close()
	host.SetReadDeadline(time.Now().Add(forwardHeader))
	port, err := api.ReadForward(host)
	if err != nil {
		return
	}
	host.SetReadDeadline(time.Time{})
	c, err := net.DialTimeout("tcp", net.JoinHostPort(s.forwardAddress(), strconv.Itoa(int(port))), forwardDial)
	if err != nil {
		api.WriteStatus(host, errno(err))
		return
	}
	defer c.Close()
	if err := api.WriteStatus(host, 0); err != nil {
		return
	}
	inside := c.(*net.TCPConn)
	done := make(chan struct{})
	go func() {
		io.Copy(inside, struct{ io.Reader }{host})
		inside.CloseWrite()
		close(done)
	}()
	if _, err := io.Copy(struct{ io.Writer }{host}, inside); err != nil {
		host.Close() // either side has broken off: nobody is left for what the host still sends
	} else {
		host.CloseWrite()
	}
	<-done
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
