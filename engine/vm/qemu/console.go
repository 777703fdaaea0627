//go:build linux

package qemu

import (
	"io"
	"net"
)

// consoleLines is how many lines of the console an error shows.
const consoleLines = 10

// console carries what the guest prints to the machine's writer. Its socket
// bounds what is in flight: a slow writer slows the guest's console.
type console struct {
	tail tail
	done chan struct{} // closed when everything has been carried
}

func newConsole(conn net.Conn, w io.Writer) *console {
	c := &console{done: make(chan struct{})}
	go c.carry(conn, w)
	return c
}

func (c *console) carry(conn net.Conn, w io.Writer) {
	defer close(c.done)
	defer conn.Close()
	buffer := make([]byte, tailSize)
	for {
		n, err := conn.Read(buffer)
		c.tail.Write(buffer[:n])
		if w != nil && n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				w = nil // keep the guest going: its console must be drained
			}
		}
		if err != nil {
			return
		}
	}
}
