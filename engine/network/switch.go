package network

import (
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
)

// station is what is plugged into a switch.
type station interface {
	// deliver hands over a frame of at least ethernetHeader bytes. It must not block, and must copy
	// what it keeps. It may be called from several goroutines at once.
	deliver(frame []byte)
}

// ethernetSwitch forwards frames between stations by their known addresses; it learns nothing from
// traffic. The zero value is an empty switch.
type ethernetSwitch struct {
	mu sync.Mutex // serializes changes of stations
	// stations is replaced, never changed: forwarding reads it without a lock, because delivering one
	// frame to the gateway may forward its answer before it returns.
	stations atomic.Pointer[map[hwaddr]station]
}

// plug connects a station. An address that is already there is an error.
func (s *ethernetSwitch) plug(at hwaddr, st station) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.table()
	if _, taken := now[at]; taken {
		return fmt.Errorf("switch: the hardware address %s is in use", at)
	}
	next := maps.Clone(now)
	if next == nil {
		next = map[hwaddr]station{}
	}
	next[at] = st
	s.stations.Store(&next)
	return nil
}

// unplug disconnects the station at an address, if there is one. Frames being forwarded at the same
// moment may still reach it.
func (s *ethernetSwitch) unplug(at hwaddr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := maps.Clone(s.table())
	delete(next, at)
	s.stations.Store(&next)
}

func (s *ethernetSwitch) table() map[hwaddr]station {
	if p := s.stations.Load(); p != nil {
		return *p
	}
	return nil
}

// forward delivers a frame, at least ethernetHeader bytes long, that came from the station at from. A
// unicast address nobody has goes nowhere: all addresses are known, so there is nothing to flood for.
func (s *ethernetSwitch) forward(from hwaddr, frame []byte) {
	table := s.table()
	to := destination(frame)
	if !to.group() {
		if st, ok := table[to]; ok && to != from {
			st.deliver(frame)
		}
		return
	}
	for at, st := range table {
		if at != from {
			st.deliver(frame)
		}
	}
}
