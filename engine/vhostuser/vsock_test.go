//go:build linux

package vhostuser

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

const guestWindow = 64 << 10

// established is a connection that the host dialled, with the header that the
// guest uses on it.
func established(t *testing.T, d *Vsock, f *frontend) (*Conn, packetHeader) {
	t.Helper()
	type result struct {
		c   *Conn
		err error
	}
	dialled := make(chan result, 1)
	go func() {
		c, err := d.Dial(t.Context(), 99)
		dialled <- result{c, err}
	}()
	h, _ := f.expect(opRequest)
	if h.dstPort != 99 || h.srcCID != hostCID || h.dstCID != testCID || h.window != window {
		t.Fatalf("request %+v", h)
	}
	back := packetHeader{srcPort: h.dstPort, dstPort: h.srcPort, window: guestWindow}
	back.op = opResponse
	f.transmit(back, nil)
	r := <-dialled
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() { r.c.Reset() })
	r.c.SetDeadline(time.Now().Add(patience))
	return r.c, back
}

// op is h with another operation.
func (h packetHeader) with(op uint16) packetHeader {
	h.op = op
	return h
}

// run starts a device with a driver.
func run(t *testing.T) (*Vsock, *frontend) {
	t.Helper()
	d, f := serveVsock(t)
	f.up()
	return d, f
}

func read(t *testing.T, c net.Conn, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDialAndTalk(t *testing.T) {
	d, f := run(t)
	c, h := established(t, d, f)
	f.transmit(h.with(opData), []byte("from the guest"))
	if got := read(t, c, 14); string(got) != "from the guest" {
		t.Errorf("read %q", got)
	}
	if _, err := c.Write([]byte("to the guest")); err != nil {
		t.Fatal(err)
	}
	out, payload := f.expect(opData)
	if string(payload) != "to the guest" || out.taken != 14 || out.dstPort != 99 {
		t.Errorf("packet %+v %q", out, payload)
	}
	if got := c.LocalAddr().Network() + " " + c.RemoteAddr().String(); got != "vsock 3:99" {
		t.Errorf("addresses %q", got)
	}
}

func TestDialRefused(t *testing.T) {
	d, f := run(t)
	failed := make(chan error, 1)
	go func() {
		_, err := d.Dial(t.Context(), 99)
		failed <- err
	}()
	h, _ := f.expect(opRequest)
	f.transmit(packetHeader{srcPort: h.dstPort, dstPort: h.srcPort, op: opReset}, nil)
	if err := <-failed; !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v", err)
	}
}

func TestDialGivesUp(t *testing.T) {
	d, f := serveVsock(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := d.Dial(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("dial without a driver: %v", err)
	}
	f.up()
	ctx, cancel = context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := d.Dial(ctx, 1)
		failed <- err
	}()
	f.expect(opRequest)
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("dial without an answer: %v", err)
	}
	f.expect(opReset)
	d.Close()
	if _, err := d.Dial(t.Context(), 1); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dial on a closed device: %v", err)
	}
}

func TestAccept(t *testing.T) {
	d, f := run(t)
	l, err := d.Listen(7)
	if err != nil {
		t.Fatal(err)
	}
	request := packetHeader{srcPort: 5, dstPort: 7, op: opRequest, window: guestWindow}
	f.transmit(request, nil)
	f.expect(opResponse)
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("hi")); err != nil {
		t.Fatal(err)
	}
	f.expect(opData)
	// Nobody listens on the next port; the third caller finds a closed listener.
	f.transmit(packetHeader{srcPort: 5, dstPort: 8, op: opRequest}, nil)
	f.expect(opReset)
	request.srcPort = 6
	f.transmit(request, nil)
	f.expect(opResponse)
	l.Close()
	f.expect(opReset)
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: %v", err)
	}
}

func TestAcceptBacklog(t *testing.T) {
	d, f := run(t)
	l, err := d.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(Addr).Port
	for i := range uint32(acceptBacklog + 1) {
		f.transmit(packetHeader{srcPort: i, dstPort: port, op: opRequest}, nil)
		want := uint16(opResponse)
		if i == acceptBacklog {
			want = opReset
		}
		if h, _ := f.next(); h.op != want {
			t.Fatalf("call %d: operation %d, want %d", i, h.op, want)
		}
	}
	if _, err := d.Listen(port); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener: %v", err)
	}
}

// TestForeignPackets sends what belongs to no connection.
func TestForeignPackets(t *testing.T) {
	_, f := run(t)
	for name, op := range map[string]uint16{"data": opData, "response": opResponse, "shutdown": opShutdown, "nonsense": 77} {
		f.transmit(packetHeader{srcPort: 1, dstPort: 2, op: op}, nil)
		if h, _ := f.next(); h.op != opReset || h.srcPort != 2 || h.dstPort != 1 {
			t.Errorf("%s: answer %+v", name, h)
		}
	}
	f.transmit(packetHeader{srcPort: 1, dstPort: 2, op: opReset}, nil)
	f.silent() // a reset is not answered
}

// TestProtocolErrors has the guest break the rules on a connection, which ends
// that connection only.
func TestProtocolErrors(t *testing.T) {
	d, f := run(t)
	bystander, hb := established(t, d, f)
	for name, bad := range map[string]packetHeader{
		"second response":   {op: opResponse},
		"unknown operation": {op: 12},
		"beyond its credit": {op: opData, length: window + 1},
		"longer than it is": {op: opData, length: 10},
	} {
		c, h := established(t, d, f)
		h.op, h.length = bad.op, bad.length
		f.transmit(h, nil)
		f.expect(opReset)
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.EPROTO) {
			t.Errorf("%s: read: %v", name, err)
		}
	}
	f.transmit(hb.with(opData), []byte("fine"))
	read(t, bystander, 4)
}

func TestDataBeforeResponse(t *testing.T) {
	d, f := run(t)
	failed := make(chan error, 1)
	go func() {
		_, err := d.Dial(t.Context(), 99)
		failed <- err
	}()
	h, _ := f.expect(opRequest)
	f.transmit(packetHeader{srcPort: h.dstPort, dstPort: h.srcPort, op: opData}, []byte("x"))
	f.expect(opReset)
	if err := <-failed; !errors.Is(err, syscall.EPROTO) {
		t.Errorf("dial: %v", err)
	}
}

// TestSendCredit writes more than the guest has room for.
func TestSendCredit(t *testing.T) {
	d, f := run(t)
	c, h := established(t, d, f)
	want := bytes.Repeat([]byte("0123456789abcdef"), guestWindow/8) // two windows
	wrote := make(chan error, 1)
	go func() {
		_, err := c.Write(want)
		wrote <- err
	}()
	var got []byte
	for len(got) < guestWindow {
		_, payload := f.expect(opData)
		got = append(got, payload...)
	}
	f.silent()
	if len(got) != guestWindow {
		t.Fatalf("%d bytes came for a window of %d", len(got), guestWindow)
	}
	h.taken = guestWindow
	f.transmit(h.with(opCreditUpdate), nil)
	for len(got) < len(want) {
		_, payload := f.expect(opData)
		got = append(got, payload...)
	}
	if err := <-wrote; err != nil || !bytes.Equal(got, want) {
		t.Errorf("write: %v, content right: %v", err, bytes.Equal(got, want))
	}
}

// TestReceiveCredit wants credit back after a quarter of the smaller window.
func TestReceiveCredit(t *testing.T) {
	d, f := run(t)
	c, h := established(t, d, f)
	chunk := make([]byte, 2048)
	for range guestWindow / 4 / len(chunk) {
		f.silent()
		f.transmit(h.with(opData), chunk)
		read(t, c, len(chunk))
	}
	update, _ := f.next()
	if update.op != opCreditUpdate || update.taken != guestWindow/4 || update.window != window {
		t.Errorf("update %+v", update)
	}
	f.transmit(h.with(opCreditRequest), nil)
	if update, _ := f.next(); update.op != opCreditUpdate {
		t.Errorf("answer to a request for credit: %+v", update)
	}
}

func TestHalfClose(t *testing.T) {
	d, f := run(t)
	c, h := established(t, d, f)
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if out, _ := f.expect(opShutdown); out.flags != shutSend {
		t.Errorf("flags %d, want %d", out.flags, shutSend)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write after CloseWrite: %v", err)
	}
	f.transmit(h.with(opData), []byte("more"))
	if got := read(t, c, 4); string(got) != "more" {
		t.Errorf("read %q", got)
	}
	h.flags = shutSend
	f.transmit(h.with(opShutdown), nil)
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read at the end: %d, %v", n, err)
	}
}

func TestCloseRead(t *testing.T) {
	d, f := run(t)
	c, h := established(t, d, f)
	f.transmit(h.with(opData), []byte("unread"))
	if err := c.CloseRead(); err != nil {
		t.Fatal(err)
	}
	if out, _ := f.expect(opShutdown); out.flags != shutReceive || out.taken != 6 {
		t.Errorf("shutdown %+v", out)
	}
	f.transmit(h.with(opData), []byte("late"))
	if n, err := c.Read(make([]byte, 10)); n != 0 || err != io.EOF {
		t.Errorf("read after CloseRead: %d, %v", n, err)
	}
	if _, err := c.Write([]byte("x")); err != nil {
		t.Errorf("write after CloseRead: %v", err)
	}
}

// TestGuestCloses leaves what the guest sent before to be read.
func TestGuestCloses(t *testing.T) {
	d, f := run(t)
	c, h := established(t, d, f)
	f.transmit(h.with(opData), []byte("bye"))
	h.flags = shutBoth
	f.transmit(h.with(opShutdown), nil)
	f.expect(opReset)
	if got := read(t, c, 3); string(got) != "bye" {
		t.Errorf("read %q", got)
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read at the end: %v", err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write: %v", err)
	}
	if err := c.CloseWrite(); !errors.Is(err, syscall.ENOTCONN) {
		t.Errorf("CloseWrite: %v", err)
	}
}

func TestGuestResets(t *testing.T) {
	d, f := run(t)
	c, h := established(t, d, f)
	f.transmit(h.with(opReset), nil)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v", err)
	}
	if _, err := c.Write(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("write: %v", err)
	}
}

func TestClose(t *testing.T) {
	d, f := run(t)
	c, h := established(t, d, f)
	reading := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		reading <- err
	}()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-reading; !errors.Is(err, net.ErrClosed) {
		t.Errorf("read during Close: %v", err)
	}
	if err := c.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
	if out, _ := f.expect(opShutdown); out.flags != shutBoth {
		t.Errorf("flags %d", out.flags)
	}
	f.transmit(h.with(opData), []byte("crossed"))
	f.transmit(h.with(opReset), nil)
	d.b.mu.Lock()
	defer d.b.mu.Unlock()
	if len(d.conns) != 0 {
		t.Error("the connection is still there")
	}
}

// TestCloseUnanswered resets a connection that the guest does not let go of.
func TestCloseUnanswered(t *testing.T) {
	d, f := run(t)
	c, _ := established(t, d, f)
	c.Close()
	f.expect(opShutdown)
	c.expire() // the timer's work
	f.expect(opReset)
}

func TestConnDeadlines(t *testing.T) {
	d, f := run(t)
	c, h := established(t, d, f)
	c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := c.Write(make([]byte, guestWindow+1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write: %v", err)
	}
	// A deadline that moves while somebody waits counts for the one who waits.
	c.SetReadDeadline(time.Time{})
	reading := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		reading <- err
	}()
	c.SetReadDeadline(time.Now().Add(time.Hour))
	c.SetReadDeadline(time.Now())
	if err := <-reading; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	c.SetReadDeadline(time.Now().Add(patience))
	f.transmit(h.with(opData), []byte("x"))
	read(t, c, 1)
}

// TestNoBuffers has the guest send and send without taking answers: the device
// stops listening before it has to remember too much, and goes on later.
func TestNoBuffers(t *testing.T) {
	d, f := serveVsock(t)
	f.negotiate(0)
	f.startRings(0) // no receive buffers
	sent := 0
	for ; sent < 2*maxReplies; sent++ {
		f.queuePacket(packetHeader{srcPort: uint32(sent), dstPort: 1, op: opData}, nil)
		f.rings[queueTX].notify()
		if sent+testQueue > maxReplies {
			break
		}
		eventually(t, "the device takes the packet", func() bool { return f.rings[queueTX].used() == f.rings[queueTX].added })
	}
	for range testQueue - 1 { // as many as the ring holds
		sent++
		f.queuePacket(packetHeader{srcPort: uint32(sent), dstPort: 1, op: opData}, nil)
	}
	f.rings[queueTX].notify()
	sent++
	eventually(t, "the device stalls", func() bool {
		d.b.mu.Lock()
		defer d.b.mu.Unlock()
		return d.stalled && len(d.replies) == maxReplies
	})
	f.rings[queueRX].offer(testQueue)
	for i := range sent {
		if h, _ := f.next(); h.op != opReset || h.dstPort != uint32(i) {
			t.Fatalf("answer %d: %+v", i, h)
		}
	}
	f.silent()
}

// TestPauseKeepsConnections stops the rings and starts them again, as QEMU does
// around a pause, also where the ring's index has just wrapped to 0.
func TestPauseKeepsConnections(t *testing.T) {
	for name, start := range map[string]uint16{"index 1": 0, "index 0": 0xffff} {
		d, f := serveVsock(t)
		f.negotiate(0)
		f.startRings(start)
		f.rings[queueRX].offer(1)
		l, err := d.Listen(7)
		if err != nil {
			t.Fatal(err)
		}
		f.transmit(packetHeader{srcPort: 5, dstPort: 7, op: opRequest, window: guestWindow}, nil)
		f.take()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		at := f.stopRings()
		if want := uint32(start + 1); at[queueRX] != want {
			t.Fatalf("%s: the ring stopped at %d", name, at[queueRX])
		}
		wrote := make(chan error, 1)
		go func() {
			_, err := c.Write([]byte("during"))
			wrote <- err
		}()
		f.restart(at)
		f.rings[queueRX].offer(1)
		if _, payload := f.take(); string(payload) != "during" {
			t.Errorf("%s: %q came after the pause", name, payload)
		}
		if err := <-wrote; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// restart starts the rings at given indexes.
func (f *frontend) restart(at [2]uint32) {
	f.t.Helper()
	for i, r := range f.rings {
		f.must(reqSetVringBase, pair(uint32(i), at[i]))
		f.must(reqSetVringKick, encode64(uint64(i)), r.kick)
		f.must(reqSetVringCall, encode64(uint64(i)), r.call)
		f.must(reqSetVringEnable, pair(uint32(i), 1))
	}
}

// TestRebootDropsConnections has another driver take the device over.
func TestRebootDropsConnections(t *testing.T) {
	d, f := run(t)
	c, _ := established(t, d, f)
	l, err := d.Listen(7)
	if err != nil {
		t.Fatal(err)
	}
	f.stopRings()
	f.startRings(0)
	f.rings[queueRX].offer(testQueue)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read from before the reboot: %v", err)
	}
	f.transmit(packetHeader{srcPort: 5, dstPort: 7, op: opRequest}, nil)
	f.expect(opResponse)
	if _, err := l.Accept(); err != nil {
		t.Errorf("the listener did not survive: %v", err)
	}
	established(t, d, f)
}

// TestDialSurvivesReboot has the driver change between a call and its answer.
func TestDialSurvivesReboot(t *testing.T) {
	d, f := run(t)
	done := make(chan error, 1)
	go func() {
		c, err := d.Dial(t.Context(), 99)
		if err == nil {
			c.Reset()
		}
		done <- err
	}()
	f.expect(opRequest)
	f.stopRings()
	f.startRings(0)
	f.rings[queueRX].offer(testQueue)
	h, _ := f.expect(opRequest)
	f.transmit(packetHeader{srcPort: h.dstPort, dstPort: h.srcPort, op: opResponse}, nil)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestMemoryMoves replaces the memory table under running rings.
func TestMemoryMoves(t *testing.T) {
	d, f := run(t)
	c, h := established(t, d, f)
	f.must(reqSetMemTable, wholeMemory(), f.fd)
	f.transmit(h.with(opData), []byte("still here"))
	read(t, c, 10)
	// Without the rings' memory the device stops and stays alive.
	if f.accepted(reqSetMemTable, memoryTable(testRegion{0, 4096, 0x1000, 0}), f.fd) {
		t.Error("a table without the running rings was accepted")
	}
	f.rings[queueTX].notify()
	f.get(reqGetFeatures, nil)
}

// TestBrokenRing has the driver write nonsense: connections end, the device
// lives, and a new driver can use it.
func TestBrokenRing(t *testing.T) {
	for _, queue := range []int{queueRX, queueTX} {
		d, f := run(t)
		c, _ := established(t, d, f)
		r := f.rings[queue]
		if queue == queueRX {
			for i := range uint16(testQueue) {
				r.describe(i, packetHeaderSize-1, descWrite, 0) // no room for a header
			}
			c.Write([]byte("x"))
		} else {
			r.add(testQueue)
			r.notify()
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.EPROTO) {
			t.Errorf("queue %d: read: %v", queue, err)
		}
		if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.EPROTO) {
			t.Errorf("queue %d: write: %v", queue, err)
		}
		f.stopRings()
		f.startRings(0)
		f.rings[queueRX].offer(testQueue)
		established(t, d, f)
	}
}

// TestFrontendLeaves ends connections and calls, and keeps listeners.
func TestFrontendLeaves(t *testing.T) {
	d, f := run(t)
	c, _ := established(t, d, f)
	l, err := d.Listen(7)
	if err != nil {
		t.Fatal(err)
	}
	f.conn.Close()
	if err := f.end(); err != nil {
		t.Error(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v", err)
	}
	next := connect(t, d)
	next.up()
	next.transmit(packetHeader{srcPort: 5, dstPort: 7, op: opRequest}, nil)
	next.expect(opResponse)
	d.Close()
	if _, err := l.Accept(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: %v", err)
	}
	if _, err := d.Listen(8); !errors.Is(err, net.ErrClosed) {
		t.Errorf("listen on a closed device: %v", err)
	}
}

func TestConnectionLimit(t *testing.T) {
	d, f := run(t)
	d.b.mu.Lock()
	for i := range uint32(maxConns) {
		d.newConn(connKey{1, i})
	}
	d.b.mu.Unlock()
	if _, err := d.Dial(t.Context(), 1); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("dial: %v", err)
	}
	l, err := d.Listen(7)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f.transmit(packetHeader{srcPort: maxConns + 1, dstPort: 7, op: opRequest}, nil)
	f.expect(opReset)
}

func TestFIFO(t *testing.T) {
	var f fifo
	var in, out []byte
	next := byte(0)
	for round := range 2000 {
		p := make([]byte, round*7%5000)
		for i := range p {
			p[i] = next
			next++
		}
		in = append(in, p...)
		f.write(p)
		q := make([]byte, round*11%4000)
		out = append(out, q[:f.read(q)]...)
	}
	rest := make([]byte, f.n)
	f.read(rest)
	if out = append(out, rest...); !bytes.Equal(in, out) {
		t.Errorf("%d bytes in, %d out, or others", len(in), len(out))
	}
}
