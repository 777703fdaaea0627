//go:build linux

package vhostuser

import (
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"
)

// hostileMemory is memory full of nonsense in which enough is plausible to get
// past the first checks.
func hostileMemory(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	mem := make([]byte, 1<<16)
	for i := range mem {
		mem[i] = byte(r.Uint32())
	}
	for at := 0x4000; at+packetHeaderSize < len(mem); at += 97 {
		h := packetHeader{
			srcCID: testCID, dstCID: hostCID,
			srcPort: r.Uint32N(4), dstPort: r.Uint32N(4),
			length: r.Uint32N(1000), kind: uint16(r.Uint32N(2)), op: uint16(r.Uint32N(9)),
			flags: r.Uint32N(4), window: r.Uint32(), taken: r.Uint32(),
		}
		raw := h.encode()
		copy(mem[at:], raw[:])
	}
	for i := range 2 {
		ring := mem[i*0x1000:]
		for j := range testQueue {
			putDescs(ring[descSize*j:], []desc{{
				addr:   uint64(0x4000 + r.IntN(len(mem)-0x4000)),
				length: r.Uint32N(600), flags: uint16(r.Uint32N(8)), next: uint16(r.Uint32N(testQueue + 1)),
			}})
			le.PutUint16(ring[0x400+4+2*j:], uint16(r.Uint32N(testQueue+1)))
		}
		le.PutUint16(ring[0x400+2:], uint16(r.Uint32N(testQueue+4)))
	}
	return mem
}

// FuzzMemory runs the device on memory that a guest could have prepared: it must
// neither crash nor hang.
func FuzzMemory(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(hostileMemory(seed), seed%2 == 0)
	}
	f.Fuzz(func(t *testing.T, content []byte, eventIdx bool) {
		mem := make([]byte, 1<<16)
		copy(mem, content)
		d := NewVsock(testCID, slog.New(slog.DiscardHandler))
		d.b.mem = memory{{guest: 0, user: testUserBase, bytes: mem}}
		l, err := d.Listen(1)
		if err != nil {
			t.Fatal(err)
		}
		d.b.mu.Lock()
		for i, q := range d.b.queues {
			base := uint64(testUserBase + i*0x1000)
			q.size, q.descAddr, q.availAddr, q.usedAddr = testQueue, base, base+0x400, base+0x800
			q.eventIdx = eventIdx
			if err := q.attach(d.b.mem); err != nil {
				t.Fatal(err)
			}
			q.begin()
			d.started(i)
		}
		d.b.mu.Unlock()
		done := make(chan struct{})
		go func() {
			defer close(done)
			d.kicked(queueTX)
			d.kicked(queueRX)
			for len(l.backlog) > 0 {
				c := <-l.backlog
				c.SetDeadline(time.Now().Add(time.Millisecond))
				c.Write(make([]byte, 5000))
				c.Read(make([]byte, 5000))
				c.Close()
			}
			d.kicked(queueTX)
			d.Close()
		}()
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatal("the device hangs")
		}
	})
}

// FuzzProtocol sends the device messages that a front-end could have made.
func FuzzProtocol(f *testing.F) {
	f.Add(append(pair(reqSetFeatures, 8), encode64(0)...))
	f.Add(append(pair(reqSetMemTable, 40), wholeMemory()...))
	f.Add(append(pair(reqSetVringAddr, 40), ringAddress(1)...))
	f.Add(append(pair(reqGetConfig, 20), append(pair(0, 8), make([]byte, 12)...)...))
	for _, request := range []uint32{reqSetVringNum, reqSetVringBase, reqGetVringBase, reqSetVringEnable, reqSetVringKick, reqSetVringCall, reqSetVringErr} {
		f.Add(append(pair(request, 8), pair(1, 1)...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := NewVsock(testCID, slog.New(slog.DiscardHandler))
		ours, theirs, err := Socketpair()
		if err != nil {
			t.Fatal(err)
		}
		defer theirs.Close()
		served := make(chan struct{})
		go func() {
			defer close(served)
			d.Serve(ours)
		}()
		go io.Copy(io.Discard, theirs) // ends with the connection
		for len(data) >= 8 {
			request, size := le.Uint32(data), min(int(data[4]), len(data)-8)
			m := append(pair(request, flagVersion|flagNeedReply), byte(size), 0, 0, 0)
			if _, err := theirs.Write(append(m, data[8:8+size]...)); err != nil {
				break
			}
			data = data[8+size:]
		}
		d.Close()
		select {
		case <-served:
		case <-time.After(patience):
			t.Fatal("the device hangs")
		}
	})
}
