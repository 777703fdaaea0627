package console

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

func TestTail(t *testing.T) {
	var out Tail
	for i := range 10_000 {
		fmt.Fprintf(&out, "line %d\r\n", i)
	}
	out.Write([]byte("\x1b[31m\x00 \n\xff\xfe last"))
	if got, want := out.Last(3), "line 9999\n[31m\n? last"; got != want {
		t.Errorf("last lines %q, want %q", got, want)
	}
	if got, want := out.From("line 999", 2), "line 9999\n[31m"; got != want {
		t.Errorf("lines from a text %q, want %q", got, want)
	}
	if got := out.From("absent", 2); got != "" {
		t.Errorf("lines from a text that is not there: %q", got)
	}
	if len(out.data) > TailSize {
		t.Errorf("%d bytes are kept", len(out.data))
	}
	out.Write(bytes.Repeat([]byte("x"), 3*TailSize))
	if len(out.data) != TailSize {
		t.Errorf("%d bytes are kept of one long write, want %d", len(out.data), TailSize)
	}
}

const panicText = "[    1.5] Kernel panic - not syncing: Attempted to kill init!\n[    1.6] CPU: 0 PID: 1\n"

// TestCarry writes byte by byte, so that no read has a whole line.
func TestCarry(t *testing.T) {
	r, w := io.Pipe()
	var out bytes.Buffer
	c := Carry(r, &out)
	for _, b := range []byte("hello\n" + panicText) {
		if _, err := w.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, "the panic", c.Panicked())
	w.Close()
	wait(t, "the end", c.Done())
	if want := "hello\n" + panicText; out.String() != want {
		t.Errorf("carried %q, want %q", out.String(), want)
	}
	if got := c.Panic(); got != strings.TrimSpace(panicText) {
		t.Errorf("the panic is %q", got)
	}
	if got := c.Last(); !strings.HasPrefix(got, "hello\n") {
		t.Errorf("the last lines are %q", got)
	}
}

// TestWriterFails wants the machine's output read on and kept.
func TestWriterFails(t *testing.T) {
	r, w := io.Pipe()
	c := Carry(r, failing{})
	for range 3 {
		if _, err := io.WriteString(w, "line\n"); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	wait(t, "the end", c.Done())
	if got := c.Last(); got != "line\nline\nline" {
		t.Errorf("the last lines are %q", got)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the source is not closed: %v", err)
	}
	select {
	case <-c.Panicked():
		t.Error("a panic without its words")
	default:
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func wait(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s does not come", what)
	}
}
