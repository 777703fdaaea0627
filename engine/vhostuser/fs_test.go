//go:build linux

package vhostuser

import (
	"bytes"
	"log/slog"
	"testing"
	"time"
)

// serveFS makes a device with a front-end whose rings run.
func serveFS(t *testing.T, handle func(request, reply [][]byte) int) (*FS, *frontend) {
	t.Helper()
	d := NewFS(handle, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { d.Close() })
	f := connect(t, d)
	f.negotiate(0)
	f.startRings(0)
	return d, f
}

// ask makes a request of one buffer with room for a reply in another.
func (r *driverRing) ask(request string) {
	head := r.added * 2 % testQueue
	n := copy(r.buffer(head), request)
	r.describe(head, uint32(n), descNext, head+1)
	r.describe(head+1, testBufSize, descWrite, 0)
	r.add(head)
	r.notify()
}

// reply takes the next reply.
func (r *driverRing) reply() string {
	r.f.t.Helper()
	eventually(r.f.t, "the device replies", func() bool { return r.used() != r.seen })
	e := r.at(testUsed + 4 + 8*int(r.seen%testQueue))
	r.seen++
	return string(r.buffer(uint16(le.Uint32(e)) + 1)[:le.Uint32(e[4:])])
}

// echo replies with the request, in capitals.
func echo(request, reply [][]byte) int {
	return copy(reply[0], bytes.ToUpper(bytes.Join(request, nil)))
}

func TestFSRequests(t *testing.T) {
	_, f := serveFS(t, echo)
	if features := le.Uint64(f.get(reqGetProtocolFeatures, nil)); features&protocolConfig != 0 {
		t.Error("the device offers a configuration, which QEMU has itself")
	}
	for range 3 * testQueue {
		for i, request := range []string{"urgent", "ordinary"} {
			f.rings[i].ask(request)
			if got, want := f.rings[i].reply(), string(bytes.ToUpper([]byte(request))); got != want {
				t.Fatalf("queue %d: %q, want %q", i, got, want)
			}
		}
	}
}

// TestFSMemoryInUse: no memory is unmapped while a request is in it, and none is
// begun meanwhile.
func TestFSMemoryInUse(t *testing.T) {
	for what, end := range map[string]func(f *frontend){
		"the memory is replaced": func(f *frontend) { f.send(reqSetMemTable, flagNeedReply, wholeMemory(), f.fd) },
		"the queue is stopped":   func(f *frontend) { f.send(reqGetVringBase, 0, pair(1, 0)) },
		"the front-end leaves":   func(f *frontend) { f.conn.Close() },
	} {
		begun, finish := make(chan bool), make(chan bool)
		d, f := serveFS(t, func(request, reply [][]byte) int {
			begun <- true
			<-finish
			return echo(request, reply) // would crash in memory that is gone
		})
		f.rings[1].ask("slow")
		<-begun
		end(f)
		eventually(t, "the device waits for the request", func() bool {
			d.b.mu.Lock()
			defer d.b.mu.Unlock()
			return d.held
		})
		f.rings[1].ask("later")
		select {
		case <-begun:
			t.Errorf("%s: another request was begun", what)
		case <-f.served:
			t.Errorf("%s: the device is done while a request is served", what)
		case <-time.After(50 * time.Millisecond):
		}
		finish <- true
		switch what {
		case "the memory is replaced":
			f.receive()
			<-begun
			finish <- true
			for _, want := range []string{"SLOW", "LATER"} {
				if got := f.rings[1].reply(); got != want {
					t.Errorf("%s: reply %q, want %q", what, got, want)
				}
			}
		case "the queue is stopped":
			f.receive()
		default:
			if err := f.end(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

// TestFSBrokenRing: a malformed chain ends the queue and nothing else.
func TestFSBrokenRing(t *testing.T) {
	_, f := serveFS(t, echo)
	r := f.rings[1]
	r.describe(0, 10, descNext, testQueue+5)
	r.add(0)
	r.notify()
	f.rings[0].ask("still there")
	if got := f.rings[0].reply(); got != "STILL THERE" {
		t.Errorf("%q", got)
	}
	if r.used() != 0 {
		t.Error("the malformed chain was answered")
	}
}
