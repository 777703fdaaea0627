package engine

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"testing"

	"github.com/skerry-app/skerry/engine/logfile"
)

func testHub(t *testing.T) *hub {
	t.Helper()
	h := newHub(t.TempDir(), slog.New(slog.DiscardHandler))
	h.log.Begin()
	return h
}

func TestHubWritesToLogAndClients(t *testing.T) {
	h := testHub(t)
	h.write(logfile.Stdout, []byte("before "))
	var out, both, errs bytes.Buffer
	first := h.attach(&out, nil)
	second := h.attach(&both, &errs)
	h.write(logfile.Stdout, []byte("out"))
	h.write(logfile.Stderr, []byte("err"))
	h.detach(first, nil)
	h.write(logfile.Stdout, []byte(" after"))
	h.end()
	<-first.ended
	<-second.ended
	if out.String() != "out" || both.String() != "out after" || errs.String() != "err" {
		t.Errorf("clients have %q, %q and %q", &out, &both, &errs)
	}
	var log bytes.Buffer
	if err := h.log.End(); err != nil {
		t.Fatal(err)
	}
	if err := h.log.Copy(t.Context(), logfile.Options{Tail: -1}, &log, nil); err != nil || log.String() != "before out after" {
		t.Errorf("the log has %q (%v)", &log, err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestHubDropsAClientThatFails(t *testing.T) {
	h := testHub(t)
	broken := errors.New("broken")
	bad := h.attach(failingWriter{broken}, nil)
	var good bytes.Buffer
	h.attach(&good, nil)
	h.write(logfile.Stdout, []byte("x"))
	h.write(logfile.Stdout, []byte("y"))
	<-bad.ended
	if bad.err != broken || good.String() != "xy" {
		t.Errorf("the broken client ended with %v, the other has %q", bad.err, &good)
	}
}

func TestHubIsHeldUpByAClientThatDoesNotRead(t *testing.T) {
	h := testHub(t)
	r, w := io.Pipe()
	slow := h.attach(w, nil)
	written := make(chan struct{})
	go func() {
		h.write(logfile.Stdout, []byte("x"))
		close(written)
	}()
	buf := make([]byte, 1)
	select {
	case <-written:
		t.Error("the output went on before it was read")
	default:
	}
	if _, err := r.Read(buf); err != nil {
		t.Fatal(err)
	}
	<-written
	// Detaching does not wait for a write that is stuck.
	go h.write(logfile.Stdout, []byte("y"))
	h.detach(slow, nil)
	<-slow.ended
	r.Close()
}

func TestDetachAfterTheEnd(t *testing.T) {
	h := testHub(t)
	s := h.attach(io.Discard, io.Discard)
	h.end()
	h.detach(s, errors.New("too late"))
	if s.err != nil {
		t.Errorf("it ended with %v", s.err)
	}
}
