package agent

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/protobuf/proto"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/guest/api"
)

// hostile is a machine whose agent answers with the same bytes whatever is asked.
type hostile struct {
	vm.Machine
	says []byte
	done chan struct{} // closed with the first connection to the agent
	end  sync.Once
}

func (h *hostile) Done() <-chan struct{} { return h.done }
func (h *hostile) Err() error            { return errors.New("it was hostile") }

// Listen returns a listener that one call comes to.
func (h *hostile) Listen(uint32) (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		go func() {
			if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
				c.Write(h.says)
				c.Close()
			}
		}()
	}
	return l, err
}

func (h *hostile) Dial(context.Context, uint32) (vm.Conn, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	guest, err := l.Accept()
	if err != nil {
		return nil, err
	}
	go func() {
		guest.Write(h.says)
		guest.(*net.TCPConn).CloseWrite()
		guest.SetReadDeadline(time.Now().Add(time.Second))
		io.Copy(io.Discard, guest)
		guest.Close()
		h.end.Do(func() { close(h.done) })
	}()
	return c.(*net.TCPConn), nil
}

// answer is an HTTP/2 connection's beginning with a gRPC answer in it.
func answer(message []byte) []byte {
	var b buffer
	f := http2.NewFramer(&b, nil)
	f.WriteSettings()
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: []byte{0x88, 0x5f, 0x10, 'a', 'p', 'p', 'l', 'i', 'c', 'a', 't', 'i', 'o', 'n', '/', 'g', 'r', 'p', 'c'}})
	f.WriteData(1, false, append([]byte{0, 0, 0, 0, byte(len(message))}, message...))
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: []byte{0x00, 0x0b, 'g', 'r', 'p', 'c', '-', 's', 't', 'a', 't', 'u', 's', 0x01, '0'}})
	return b
}

type buffer []byte

func (b *buffer) Write(p []byte) (int, error) { *b = append(*b, p...); return len(p), nil }

// FuzzConnect has an agent say anything at all. Whatever it is, calls end, and
// nobody believes it.
func FuzzConnect(f *testing.F) {
	info, err := proto.Marshal(&api.InfoResponse{Major: api.Major, Version: "x"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{})
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Add(answer(info))
	f.Add(answer(nil))
	f.Add(answer([]byte{0xff}))
	f.Fuzz(func(t *testing.T, says []byte) {
		m := &hostile{says: says, done: make(chan struct{})}
		link, err := Listen(m)
		if err != nil {
			t.Fatal(err)
		}
		defer link.Close()
		ctx, cancel := context.WithTimeout(t.Context(), bound)
		defer cancel()
		client, err := link.Connect(ctx)
		if err == nil {
			if client.StartUp() < 0 {
				t.Error("a start took less than no time")
			}
			client.Container("x").Statistics(ctx)
			client.Close()
		}
		if ctx.Err() != nil {
			t.Fatalf("a call went on for %v", bound)
		}
	})
}

// FuzzStatistics takes what a guest may say it uses.
func FuzzStatistics(f *testing.F) {
	good, err := proto.Marshal(&api.StatisticsResponse{Cpu: &api.CPUStatistics{}, Memory: &api.MemoryStatistics{}, Pids: &api.PidsStatistics{}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{0x12, 0x00, 0x2a, 0x00})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &api.StatisticsResponse{}
		if proto.Unmarshal(data, r) != nil {
			return
		}
		if complete(r) == nil && (r.Cpu == nil || r.Memory == nil || r.Pids == nil || !r.Time.IsValid()) {
			t.Error("what is missing was not missed")
		}
	})
}

// FuzzStreams sends anything to where streams come in, while one is expected.
func FuzzStreams(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := acceptStreams(l)
		defer s.close()
		e := s.expect()
		defer e.cancel()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write(data)
		c.(*net.TCPConn).CloseWrite()
		c.SetReadDeadline(time.Now().Add(bound))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a stream that nobody expects stays open: %v", err)
		}
	})
}
