package network

import (
	"io"
	"net"
	"sync"
)

// spliceBuffer is how much of one direction of a connection is in this process at a time. What is not
// read stays in the sender's socket: backpressure is the sender's own flow control.
const spliceBuffer = 64 << 10

// Splice joins two connections until both directions have ended, then closes both. The end of one
// direction is passed on with CloseWrite while the other goes on. A failed read is passed on as a reset
// ("Reset() error", or a linger time of zero), so that a peer does not take a broken stream for a
// complete one. A failed write stops the reading with CloseRead. A connection without CloseWrite cannot
// say "end of data" and go on: both connections end with it.
//
// To cut a splice short, close or reset both connections.
func Splice(a, b net.Conn) {
	var wg sync.WaitGroup
	wg.Go(func() { pump(a, b) })
	pump(b, a)
	wg.Wait()
	a.Close()
	b.Close()
}

// pump copies src to dst until one of them ends, and passes the end on.
func pump(dst, src net.Conn) {
	buf := make([]byte, spliceBuffer)
	for {
		n, readErr := src.Read(buf)
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				stopReading(src, dst)
				return
			}
		}
		switch readErr {
		case nil:
		case io.EOF:
			endWriting(dst, src)
			return
		default:
			reset(src)
			reset(dst)
			return
		}
	}
}

// endWriting tells dst's peer that nothing more comes.
func endWriting(dst, src net.Conn) {
	if c, ok := dst.(interface{ CloseWrite() error }); ok {
		c.CloseWrite() // fails only on a connection that is gone: the other direction sees it too
		return
	}
	dst.Close()
	src.Close()
}

// stopReading tells src's peer that nobody takes its data any more.
func stopReading(src, dst net.Conn) {
	if c, ok := src.(interface{ CloseRead() error }); ok {
		c.CloseRead()
		return
	}
	reset(src)
	reset(dst)
}

// reset closes a connection so that the peer sees an error where the kind of connection allows it.
func reset(c net.Conn) {
	switch r := c.(type) {
	case interface{ Reset() error }:
		r.Reset()
	case interface{ SetLinger(int) error }:
		r.SetLinger(0)
	}
	c.Close()
}
