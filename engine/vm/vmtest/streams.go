package vmtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/engine/vm/vmtest/guest/ports"
)

// bulk is how much the transfer tests move, far more than any buffer holds.
const bulk = 64 << 20

// testStreams tests vsock, on one machine.
func (s *suite) testStreams(t *testing.T) {
	s.noLeaks(t)
	m := s.boot(t, func(c *vm.Config) { c.CPUs = 2 })
	for _, test := range []struct {
		name string
		run  func(*testing.T, *machine)
	}{
		{"Echo", testEcho},
		{"Refused", testRefused},
		{"ToGuest", testToGuest},
		{"FromGuest", testFromGuest},
		{"GuestEndsFirst", testGuestEndsFirst},
		{"CloseRead", testCloseRead},
		{"ManyAtOnce", testManyAtOnce},
		{"GuestCalls", testGuestCalls},
		{"GuestCallsNobody", testGuestCallsNobody},
		{"ListenTwice", testListenTwice},
		{"Deadlines", testDeadlines},
		{"CloseWakesReader", testCloseWakesReader},
		{"DialCancelled", testDialCancelled},
		{"SlowReader", testSlowReader},
		{"Pause", testPause},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.noLeaks(t)
			test.run(t, m)
		})
	}
}

// echo sends a text to the guest's echo and wants it back.
func echo(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if string(got) != text {
		t.Fatalf("echo of %q is %q", text, got)
	}
}

func testEcho(t *testing.T, m *machine) {
	c := m.dial(t, ports.Echo)
	echo(t, c, "hello")
	echo(t, c, "again")
	if c.LocalAddr() == nil || c.RemoteAddr() == nil {
		t.Error("a connection without addresses")
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest := readAll(t, c); len(rest) != 0 {
		t.Errorf("%q after the end", rest)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after Close: %v", err)
	}
}

func testRefused(t *testing.T, m *machine) {
	c, err := m.Dial(t.Context(), ports.Nobody)
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial where nobody listens: %v, want ECONNREFUSED", err)
	}
}

// checkSink reads a sink's report: it has to have seen n bytes of the pattern.
func checkSink(t *testing.T, c net.Conn, n int64) {
	t.Helper()
	sum := sha256.New()
	if _, err := io.CopyN(sum, ports.Pattern(), n); err != nil {
		t.Fatal(err)
	}
	want := sum.Sum(binary.BigEndian.AppendUint64(nil, uint64(n)))
	if got := readAll(t, c); !bytes.Equal(got, want) {
		t.Errorf("the guest read %x, want %x", got, want)
	}
}

func testToGuest(t *testing.T, m *machine) {
	c := m.dial(t, ports.Sink)
	if _, err := io.CopyN(c, ports.Pattern(), bulk); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	checkSink(t, c, bulk)
}

func testFromGuest(t *testing.T, m *machine) {
	c := m.dial(t, ports.Source)
	if err := binary.Write(c, binary.BigEndian, uint64(bulk)); err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	if _, err := io.CopyN(sum, c, bulk); err != nil {
		t.Fatal(err)
	}
	if got, want := readAll(t, c), sum.Sum(nil); !bytes.Equal(got, want) {
		t.Errorf("the guest sent %x, here came %x", got, want)
	}
}

// testGuestEndsFirst has the guest end its direction while this side goes on.
func testGuestEndsFirst(t *testing.T, m *machine) {
	l, err := m.Listen(ports.Report)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := m.dial(t, ports.Answer)
	if got := readAll(t, c); string(got) != "last words" {
		t.Errorf("read %q", got)
	}
	if _, err := io.WriteString(c, "still here"); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	report, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer report.Close()
	if got := readAll(t, report); string(got) != "still here <nil>" {
		t.Errorf("the guest read %q", got)
	}
}

// testCloseRead ends the guest's direction from here: reads end, and the guest,
// which cannot send on, ends the connection.
func testCloseRead(t *testing.T, m *machine) {
	c := m.dial(t, ports.Source)
	if err := binary.Write(c, binary.BigEndian, uint64(bulk)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseRead(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read after CloseRead: %d, %v", n, err)
	}
	waitFor(t, "the guest ends the connection", func() bool {
		_, err := c.Write([]byte("x"))
		return err != nil
	})
}

func testManyAtOnce(t *testing.T, m *machine) {
	const connections, size = 100, 300_000
	want := make([]byte, size)
	io.ReadFull(ports.Pattern(), want)
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
			defer cancel()
			c, err := m.Dial(ctx, ports.Echo)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(waitTimeout))
			go func() {
				c.Write(want)
				c.CloseWrite()
			}()
			if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes came back, %v", len(got), err)
			}
		})
	}
	wg.Wait()
}

func testGuestCalls(t *testing.T, m *machine) {
	l, err := m.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if _, ok := c.(vm.Conn); !ok {
				t.Error("a connection that is no vm.Conn")
			}
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	m.must(t, ports.Request{Do: "call", Port: portOf(t, l)})
}

// portOf finds the port of a listener that chose one, from "CID:port".
func portOf(t *testing.T, l net.Listener) uint32 {
	t.Helper()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseUint(port, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

func testGuestCallsNobody(t *testing.T, m *machine) {
	if a := m.ask(t, ports.Request{Do: "call", Port: 4711}); a.Error == "" {
		t.Error("the guest reached a port where nobody listens")
	}
}

func testListenTwice(t *testing.T, m *machine) {
	l, err := m.Listen(4712)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Listen(4712); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener: %v, want EADDRINUSE", err)
	}
	l.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after Close: %v", err)
	}
	l, err = m.Listen(4712)
	if err != nil {
		t.Fatalf("listen again: %v", err)
	}
	l.Close()
}

func testDeadlines(t *testing.T, m *machine) {
	c := m.dial(t, ports.Echo)
	c.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read after the deadline: %v", err)
	}
	c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read up to the deadline: %v", err)
	}
	c.SetWriteDeadline(time.Now().Add(-time.Second))
	var timeout net.Error
	if _, err := c.Write([]byte("x")); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("write after the deadline: %v", err)
	}
	c.SetDeadline(time.Now().Add(waitTimeout))
	echo(t, c, "a new deadline counts")
}

func testCloseWakesReader(t *testing.T, m *machine) {
	c := m.dial(t, ports.Echo)
	result := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		result <- err
	}()
	time.Sleep(10 * time.Millisecond) // most likely the reader waits by now
	c.Close()
	if err := <-result; !errors.Is(err, net.ErrClosed) {
		t.Errorf("read while closing: %v", err)
	}
}

func testDialCancelled(t *testing.T, m *machine) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c, err := m.Dial(ctx, ports.Echo)
	if err == nil { // it may be faster than the cancellation
		c.Close()
	} else if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// testSlowReader fills a connection whose reader in the guest holds back: the
// writer waits, others do not, and nothing is lost.
func testSlowReader(t *testing.T, m *machine) {
	slow := m.dial(t, ports.Hold)
	data := make([]byte, 4<<20)
	io.ReadFull(ports.Pattern(), data)
	slow.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	sent, err := slow.Write(data)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d of %d bytes went to a guest that does not read: %v", sent, len(data), err)
	}
	echo(t, m.dial(t, ports.Echo), "others are served")
	m.must(t, ports.Request{Do: "release"})
	slow.SetWriteDeadline(time.Now().Add(waitTimeout))
	if _, err := slow.Write(data[sent:]); err != nil {
		t.Fatal(err)
	}
	if err := slow.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	checkSink(t, slow, int64(len(data)))
}

// testPause wants a paused guest silent and its connections alive afterwards.
func testPause(t *testing.T, m *machine) {
	c := m.dial(t, ports.Echo)
	echo(t, c, "before")
	for range 3 {
		if err := m.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		written := make(chan error, 1)
		go func() { // may wait for the guest
			_, err := io.WriteString(c, "during")
			written <- err
		}()
		c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if n, err := c.Read(make([]byte, 6)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a paused guest answered %d bytes, %v", n, err)
		}
		if err := m.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(waitTimeout))
		got := make([]byte, 6)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "during" {
			t.Fatalf("after the pause: %q, %v", got, err)
		}
	}
	echo(t, m.dial(t, ports.Echo), "new connections work too")
}
