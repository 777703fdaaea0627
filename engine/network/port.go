package network

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

const (
	// Socket buffers of both ends of a port. The send buffer also bounds the size of one datagram on
	// macOS (2048 bytes by default, too little for a large MTU); Apple asks for a receive buffer of
	// four times the send buffer (VZFileHandleNetworkDeviceAttachment). Linux caps both silently at
	// net.core.wmem_max and rmem_max.
	portSendBuffer    = 1 << 20
	portReceiveBuffer = 4 << 20

	// portQueue is how many bytes of frames wait in this process for a machine whose socket is full.
	// It bridges bursts: by default Linux lets an ordinary user's socket hold three frames of the
	// largest size, and TCP through a port that drops the fourth takes several times as long.
	portQueue = 2 << 20
)

// port is a machine's place in the switch: our end of its socket pair.
type port struct {
	sw   *ethernetSwitch
	hw   hwaddr
	ip   netip.Addr
	conn *net.UnixConn
	raw  syscall.RawConn

	dropped  atomic.Uint64 // frames to the machine that it was too slow for
	rejected atomic.Uint64 // frames from the machine that it had no right to send

	mu     sync.Mutex
	filled *sync.Cond // queue is not empty, or closed is set
	queue  [][]byte   // frames waiting for the socket, oldest first; the oldest is being written
	queued int        // bytes in queue
	closed bool

	running sync.WaitGroup
}

// openPort plugs a new machine into sw and returns, beside the port, the machine's end of the socket
// pair. The machine's frames must carry hw and ip as their source.
func openPort(sw *ethernetSwitch, hw hwaddr, ip netip.Addr) (*port, *os.File, error) {
	conn, peer, err := datagramPair()
	if err != nil {
		return nil, nil, err
	}
	raw, err := conn.SyscallConn()
	p := &port{sw: sw, hw: hw, ip: ip, conn: conn, raw: raw}
	if err == nil {
		err = sw.plug(hw, p)
	}
	if err != nil {
		conn.Close()
		peer.Close()
		return nil, nil, err
	}
	p.filled = sync.NewCond(&p.mu)
	p.running.Go(p.receive)
	p.running.Go(p.drain)
	return p, peer, nil
}

// close unplugs the machine, and returns when no goroutine of the port is left.
func (p *port) close() {
	p.sw.unplug(p.hw)
	p.mu.Lock()
	p.closed = true
	p.filled.Broadcast()
	p.mu.Unlock()
	p.conn.Close()
	p.running.Wait()
}

// receive forwards the machine's frames until the socket is closed.
func (p *port) receive() {
	frame := make([]byte, maxFrame+1) // one more: a longer datagram arrives cut, and is seen to be too long
	for {
		n, err := p.conn.Read(frame)
		if err != nil {
			return
		}
		if n > maxFrame || !honest(frame[:n], p.hw, p.ip) {
			p.rejected.Add(1)
			continue
		}
		p.sw.forward(p.hw, frame[:n])
	}
}

// deliver implements station: it writes to the machine's socket if that takes the frame at once, queues
// what a momentarily full socket does not take, and drops what the queue has no room for.
func (p *port) deliver(frame []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		err := p.tryWrite(frame)
		if err == nil {
			return
		}
		if !errors.Is(err, syscall.EAGAIN) { // on macOS a full peer is ENOBUFS, and no event tells when it has room
			p.dropped.Add(1)
			return
		}
	}
	if p.closed || p.queued+len(frame) > portQueue {
		p.dropped.Add(1)
		return
	}
	p.queue = append(p.queue, bytes.Clone(frame))
	p.queued += len(frame)
	p.filled.Signal()
}

func (p *port) tryWrite(frame []byte) error {
	var err error
	closed := p.raw.Write(func(fd uintptr) bool {
		for {
			if _, err = syscall.Write(int(fd), frame); err != syscall.EINTR {
				return true
			}
		}
	})
	return errors.Join(closed, err)
}

// drain writes queued frames as fast as the machine takes them.
func (p *port) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for len(p.queue) == 0 && !p.closed {
			p.filled.Wait()
		}
		if p.closed {
			return
		}
		frame := p.queue[0]
		p.mu.Unlock()
		_, err := p.conn.Write(frame) // waits for room; close ends it
		p.mu.Lock()
		if err != nil {
			p.dropped.Add(1)
		}
		p.queued -= len(frame)
		p.queue[0] = nil
		p.queue = p.queue[1:]
	}
}

// datagramPair makes a connected pair of datagram sockets, both closed on exec: ours for this process,
// theirs to be inherited by whatever runs the machine.
func datagramPair() (ours *net.UnixConn, theirs *os.File, err error) {
	syscall.ForkLock.RLock() // macOS has no SOCK_CLOEXEC
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_DGRAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	file := os.NewFile(uintptr(fds[0]), "network port")
	defer file.Close() // FileConn works on a duplicate
	theirs = os.NewFile(uintptr(fds[1]), "network device")
	for _, fd := range fds {
		err = errors.Join(err,
			os.NewSyscallError("setsockopt SO_SNDBUF", syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, portSendBuffer)),
			os.NewSyscallError("setsockopt SO_RCVBUF", syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, portReceiveBuffer)))
	}
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	conn, err := net.FileConn(file)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn.(*net.UnixConn), theirs, nil
}
