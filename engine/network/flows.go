package network

import (
	"context"
	"errors"
	"sync"
)

// flowKind is a kind of thing that a guest makes this process hold.
type flowKind int

const (
	tcpFlow   flowKind = iota // a connection to the outside, from its first SYN to its end
	udpFlow                   // a conversation between two UDP ports
	pingFlow                  // an echo request that waits for its answer
	nameQuery                 // a DNS query being answered
	nameConn                  // a TCP connection to the name server
	hostConn                  // a connection from the host to the guest
)

// flowLimits is how many of each kind one guest may have at a time.
var flowLimits = map[flowKind]int{
	tcpFlow:   1024,
	udpFlow:   512,
	pingFlow:  32,
	nameQuery: 64,
	nameConn:  16,
	hostConn:  1024,
}

var errDetached = errors.New("the container has left the network")
var errTooMany = errors.New("too many connections of the container at once")

// flows counts what one guest has open through the gateway, and ends it all when the guest goes.
type flows struct {
	ctx    context.Context // ends with the guest
	cancel context.CancelFunc

	mu     sync.Mutex
	open   map[flowKind]int
	closed bool
	active sync.WaitGroup
}

func newFlows() *flows {
	f := &flows{open: map[flowKind]int{}}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f
}

// start counts one more, until the caller calls done exactly once. What the caller starts must end when
// f.ctx does.
func (f *flows) start(kind flowKind) (done func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, errDetached
	case f.open[kind] >= flowLimits[kind]:
		return nil, errTooMany
	}
	f.open[kind]++
	f.active.Add(1)
	return func() {
		f.mu.Lock()
		f.open[kind]--
		f.mu.Unlock()
		f.active.Done()
	}, nil
}

// end refuses new flows, cancels the open ones and returns when they have ended.
func (f *flows) end() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.cancel()
	f.active.Wait()
}
