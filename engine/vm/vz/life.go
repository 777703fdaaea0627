package vz

import (
	"errors"
	"fmt"
	"sync"
)

// phase is where a machine is in its life.
type phase int

const (
	created phase = iota // made, not started
	started              // its start was asked for
	ended                // nobody may use it any more
)

var (
	errStarted = errors.New("the machine has been started before")
	errEnded   = errors.New("the machine has ended")
	errNotUp   = errors.New("the machine is not running")
)

// life decides who may start, use and end a machine, whatever asks for it at
// the same time. The framework's own state tells less: vz hands it on late, and
// a machine that is just being started counts as stopped.
type life struct {
	mu       sync.Mutex
	phase    phase
	stopping bool // Stop was called
	err      error
	done     chan struct{} // closed when nothing is left
}

func newLife() *life { return &life{done: make(chan struct{})} }

// begin makes a machine one that is being started.
func (l *life) begin() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.phase == ended || l.stopping:
		return errEnded
	case l.phase == started:
		return errStarted
	}
	l.phase = started
	return nil
}

// up returns nil when a machine can be used.
func (l *life) up() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.phase == ended || l.stopping:
		return errEnded
	case l.phase == created:
		return errNotUp
	}
	return nil
}

// stop notes that the machine is to end, and tells whether it was ever
// started: only then the framework has something to stop.
func (l *life) stop() (wasStarted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopping = true
	return l.phase == started
}

func (l *life) isStopping() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopping
}

// end is true for the one caller who is to release what the machine has, and
// then to call over.
func (l *life) end() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.phase == ended {
		return false
	}
	l.phase = ended
	return true
}

// over publishes the end. A machine that was to stop has no reason but that.
func (l *life) over(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopping {
		l.err = err
	}
	close(l.done)
}

// reason is why the machine ended; nil before.
func (l *life) reason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// ending is what is known of a machine that has ended by itself.
type ending struct {
	disk   error  // a network block device that could not be had
	failed bool   // the framework says so
	panic  string // what the guest's kernel said last; empty if it did not panic
	last   string // the console's last lines
}

// err is the reason in words; nil when the guest has powered off. vz drops the
// framework's own (it comes with virtualMachine:didStopWithError:), which is
// in the system's log.
func (e ending) err() error {
	switch {
	case e.disk != nil:
		return e.disk
	case e.panic != "":
		return fmt.Errorf("the guest's kernel panicked:\n%s", e.panic)
	case !e.failed:
		return nil
	case e.last != "":
		return fmt.Errorf("%w; the console's last lines:\n%s", errFailed, e.last)
	}
	return errFailed
}

var errFailed = errors.New(`the framework ended the machine; "` + logCommand + `" has the reason`)

// logCommand prints what the framework has to say.
const logCommand = `log show --last 5m --predicate 'subsystem == "com.apple.virtualization"'`
