//go:build linux

package stream

import (
	"io"
	"net"
)

// Conn is a connection whose directions end one by one.
type Conn interface {
	net.Conn
	CloseWrite() error
}

// Splice joins the host's connection and one inside until both directions have
// ended, and closes both.
func Splice(host, inside Conn) {
	defer host.Close()
	defer inside.Close()
	done := make(chan struct{})
	go func() {
		io.CopyBuffer(plainWriter{inside}, plainReader{host}, make([]byte, buffer))
		inside.CloseWrite()
		close(done)
	}()
	if _, err := io.CopyBuffer(plainWriter{host}, plainReader{inside}, make([]byte, buffer)); err != nil {
		host.Close() // either side has broken off: nobody is left for what the host still sends
	} else {
		host.CloseWrite()
	}
	<-done
}
