// Package console carries what a machine prints to where it is kept, and keeps
// the end of it for error messages. A machine must never wait for a console
// that nobody reads: its kernel prints with interrupts off.
package console

import (
	"io"
	"sync"
)

// Lines is how many lines of a console an error shows.
const Lines = 10

// panicked is what Linux prints first when it cannot go on (kernel/panic.c).
const panicked = "Kernel panic - not syncing"

// Console carries the output of one machine. Its source bounds what is in
// flight: a slow writer slows the machine's printing.
type Console struct {
	tail     Tail
	done     chan struct{}
	panicked chan struct{}
	once     sync.Once // of panicked
}

// Carry copies from r to w, which may be nil, until r ends, and closes r. A
// writer that fails is not written to again; r is read on.
func Carry(r io.ReadCloser, w io.Writer) *Console {
	c := &Console{done: make(chan struct{}), panicked: make(chan struct{})}
	go c.carry(r, w)
	return c
}

func (c *Console) carry(r io.ReadCloser, w io.Writer) {
	defer close(c.done)
	defer r.Close()
	buffer := make([]byte, TailSize)
	for {
		n, err := r.Read(buffer)
		c.tail.Write(buffer[:n])
		if n > 0 && c.tail.contains(panicked) {
			c.once.Do(func() { close(c.panicked) })
		}
		if w != nil && n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				w = nil
			}
		}
		if err != nil {
			return
		}
	}
}

// Done is closed when everything has been carried.
func (c *Console) Done() <-chan struct{} { return c.done }

// Panicked is closed when the guest's kernel has said that it cannot go on.
func (c *Console) Panicked() <-chan struct{} { return c.panicked }

// Panic returns what the guest's kernel said when it could not go on, at most
// Lines lines; nothing if it has not.
func (c *Console) Panic() string { return c.tail.From(panicked, Lines) }

// Last returns the last lines, at most Lines.
func (c *Console) Last() string { return c.tail.Last(Lines) }
