package network

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"
)

func TestFlowsAreLimitedAndEnd(t *testing.T) {
	f := newFlows()
	var done []func()
	for range flowLimits[nameConn] {
		d, err := f.start(nameConn)
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, d)
	}
	if _, err := f.start(nameConn); !errors.Is(err, errTooMany) {
		t.Errorf("one more than the limit: %v", err)
	}
	other, err := f.start(udpFlow)
	if err != nil {
		t.Errorf("another kind: %v", err)
	}
	other()
	done[0]()
	if done[0], err = f.start(nameConn); err != nil {
		t.Errorf("after one ended: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		f.end()
		close(ended)
	}()
	<-f.ctx.Done()
	if _, err := f.start(udpFlow); !errors.Is(err, errDetached) {
		t.Errorf("after the end: %v", err)
	}
	select {
	case <-ended:
		t.Error("end does not wait for what is open")
	default:
	}
	for _, d := range done {
		d()
	}
	<-ended
}

// Every kind has a limit: a missing one would mean "none allowed".
func TestEveryFlowKindHasALimit(t *testing.T) {
	for kind := tcpFlow; kind <= hostConn; kind++ {
		if flowLimits[kind] <= 0 {
			t.Errorf("kind %d has no limit", kind)
		}
	}
}

func TestManyConnectionsAtOnce(t *testing.T) {
	onEachGuest(t, func(t *testing.T, start func(*testing.T, *Endpoint) guest) {
		at := listenHost(t, "tcp", "127.0.0.1:0", echo)
		n := testNetwork(t, Options{})
		g := start(t, attach(t, n, "web"))
		var wg sync.WaitGroup
		for i := range 300 {
			wg.Go(func() {
				conn, err := g.dial("tcp", netip.AddrPortFrom(n.Host(), at.Port()).String())
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(patience))
				want := fmt.Sprintf("connection %d", i)
				conn.Write([]byte(want))
				got := make([]byte, len(want))
				for read := 0; read < len(got); {
					k, err := conn.Read(got[read:])
					if err != nil {
						t.Errorf("%s: %v", want, err)
						return
					}
					read += k
				}
				if string(got) != want {
					t.Errorf("sent %q, got %q", want, got)
				}
			})
		}
		wg.Wait()
	})
}

// A guest at its limit is refused more, and another one is not.
func TestConnectionLimitIsPerGuest(t *testing.T) {
	at := listenHost(t, "tcp", "127.0.0.1:0", echo)
	n := testNetwork(t, Options{})
	greedy, modest := attach(t, n, "greedy"), attach(t, n, "modest")
	for range flowLimits[tcpFlow] {
		done, err := greedy.flows.start(tcpFlow)
		if err != nil {
			t.Fatal(err)
		}
		defer done()
	}
	to := netip.AddrPortFrom(n.Host(), at.Port()).String()
	if conn, err := newStackGuest(t, greedy).dial("tcp", to); err == nil {
		conn.Close()
		t.Error("a guest at its limit got one more connection")
	}
	conn, err := newStackGuest(t, modest).dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	if got := roundTrip(t, conn, "ahoy"); got != "ahoy" {
		t.Errorf("answered %q", got)
	}
}
