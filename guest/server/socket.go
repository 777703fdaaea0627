//go:build linux

package server

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/stream"
)

// dialSocket connects to a unix socket of a container. The path is resolved as
// the container's processes would.
func (s *Server) dialSocket(container, path string) (stream.Conn, error) {
	root, err := s.root(container)
	if err != nil {
		return nil, err
	}
	defer unix.Close(int(root))
	fd, err := unix.Openat2(int(root), path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	// However long the path is: an address holds 108 bytes (unix(7)).
	c, err := net.DialTimeout("unix", "/proc/self/fd/"+strconv.Itoa(fd), forwardDial)
	if err != nil {
		return nil, err
	}
	return c.(*net.UnixConn), nil
}

// listenSockets makes the sockets that stand for those of the host, and returns
// what is to be bound where in the container.
func (c *container) listenSockets(sockets []*api.Socket) (files map[string]string, err error) {
	files = map[string]string{}
	for i, s := range sockets {
		path := c.path("socket" + strconv.Itoa(i))
		l, err := net.Listen("unix", path)
		if err != nil {
			return nil, fmt.Errorf("listen for %s: %w", s.Path, err)
		}
		c.listeners = append(c.listeners, l)
		// Whoever is in the container may have what the container may have.
		if err := os.Chmod(path, 0o666); err != nil {
			return nil, err
		}
		go relay(l, s)
		files[s.Path] = path
	}
	return files, nil
}

// relay carries connections to the host until the listener closes.
func relay(l net.Listener, s *api.Socket) {
	for {
		inside, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			host, err := stream.Dial(context.Background(), s.Stream)
			if err != nil {
				log.Printf("relay %s: %v", s.Path, err)
				inside.Close()
				return
			}
			stream.Splice(host, inside.(*net.UnixConn))
		}()
	}
}
