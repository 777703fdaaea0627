package vmtest

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/engine/vm/vmtest/guest/ports"
)

// testLife tests the ways in which machines begin and end.
func (s *suite) testLife(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"NeverStarted", s.testNeverStarted},
		{"StartCancelled", s.testStartCancelled},
		{"StopDuringStart", s.testStopDuringStart},
		{"StopDuringBoot", s.testStopDuringBoot},
		{"StopWhilePaused", s.testStopWhilePaused},
		{"StopInUse", s.testStopInUse},
		{"PowerOff", s.testPowerOff},
		{"Panic", s.testPanic},
		{"Killed", s.testKilled},
		{"BlockedConsole", s.testBlockedConsole},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.noLeaks(t)
			test.run(t)
		})
	}
}

// wantEnded wants a machine that refuses everything but Stop.
func (m *machine) wantEnded(t *testing.T) {
	t.Helper()
	select {
	case <-m.Done():
	default:
		t.Error("Done is not closed")
	}
	if err := m.Start(t.Context()); err == nil {
		t.Error("a machine that has ended starts")
	}
	if err := m.Pause(t.Context()); err == nil {
		t.Error("a machine that has ended pauses")
	}
	if _, err := m.Dial(t.Context(), ports.Echo); err == nil {
		t.Error("a machine that has ended can be dialled")
	}
	if _, err := m.Listen(4713); err == nil {
		t.Error("a machine that has ended listens")
	}
	if err := m.Stop(t.Context()); err != nil {
		t.Errorf("Stop of a machine that has ended: %v", err)
	}
}

func (m *machine) stop(t *testing.T) {
	t.Helper()
	if err := m.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := m.Err(); err != nil {
		t.Errorf("Err after Stop: %v", err)
	}
	m.wantEnded(t)
}

func (s *suite) testNeverStarted(t *testing.T) {
	m := s.make(t, nil)
	l, err := m.Listen(ports.Ready)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Pause(t.Context()); err == nil {
		t.Error("a machine that was not started pauses")
	}
	m.stop(t)
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: %v", err)
	}
}

func (s *suite) testStartCancelled(t *testing.T) {
	m := s.make(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Start(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("start: %v, want %v", err, context.Canceled)
	}
	m.wantEnded(t)
}

func (s *suite) testStopDuringStart(t *testing.T) {
	for _, wait := range []time.Duration{0, time.Millisecond, 10 * time.Millisecond, 40 * time.Millisecond} {
		m := s.make(t, nil)
		var wg sync.WaitGroup
		wg.Go(func() { m.Start(context.Background()) }) // may succeed or not
		time.Sleep(wait)
		if err := m.Stop(t.Context()); err != nil {
			t.Errorf("after %v: %v", wait, err)
		}
		wg.Wait()
		m.stop(t)
	}
}

func (s *suite) testStopDuringBoot(t *testing.T) {
	m := s.make(t, nil)
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context()); err == nil {
		t.Error("a machine starts twice")
	}
	dialled := make(chan error, 1)
	go func() {
		_, err := m.Dial(context.Background(), ports.Echo)
		dialled <- err
	}()
	m.stop(t)
	if err := <-dialled; err == nil {
		t.Error("a stopped guest answered")
	}
}

func (s *suite) testStopWhilePaused(t *testing.T) {
	m := s.boot(t, nil)
	if err := m.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.stop(t)
}

// testStopInUse stops a machine under readers, writers and listeners, several
// times at once.
func (s *suite) testStopInUse(t *testing.T) {
	m := s.boot(t, nil)
	l, err := m.Listen(4714)
	if err != nil {
		t.Fatal(err)
	}
	reading, writing := m.dial(t, ports.Echo), m.dial(t, ports.Hold)
	failed := make(chan error, 3)
	go func() { _, err := reading.Read(make([]byte, 1)); failed <- err }()
	go func() { _, err := writing.Write(make([]byte, 8<<20)); failed <- err }()
	go func() { _, err := l.Accept(); failed <- err }()
	time.Sleep(50 * time.Millisecond) // most likely all three wait by now
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := m.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for range cap(failed) {
		if err := <-failed; err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a call to a stopped guest ended with %v", err)
		}
	}
	m.stop(t)
}

func (s *suite) testPowerOff(t *testing.T) {
	// With one CPU QEMU's emulated PC leaves ACPI out, and power-off with it.
	m := s.boot(t, func(c *vm.Config) { c.CPUs = 2 })
	m.tell(t, ports.Request{Do: "poweroff"})
	if err := m.ended(t); err != nil {
		t.Errorf("Err after the guest's power-off: %v", err)
	}
	m.wantEnded(t)
}

func (s *suite) testPanic(t *testing.T) {
	m := s.boot(t, nil)
	m.tell(t, ports.Request{Do: "exit"})
	if err := m.ended(t); err == nil || !strings.Contains(err.Error(), "Kernel panic") {
		t.Errorf("Err after a panic: %v", err)
	}
	m.wantEnded(t)
}

func (s *suite) testKilled(t *testing.T) {
	if s.Kill == nil {
		t.Skip("the hypervisor has no process of its own")
	}
	m := s.boot(t, nil)
	l, err := m.Listen(4715)
	if err != nil {
		t.Fatal(err)
	}
	c := m.dial(t, ports.Echo)
	echo(t, c, "alive")
	s.Kill(t, m.Machine)
	if err := m.ended(t); err == nil || !strings.Contains(err.Error(), "SIGKILL") {
		t.Errorf("Err after a kill: %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a dead guest answered")
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: %v", err)
	}
	m.wantEnded(t)
}

// testBlockedConsole has a console writer that never returns: the guest can
// print a little and is slowed down, and Stop works all the same.
func (s *suite) testBlockedConsole(t *testing.T) {
	release := make(chan struct{})
	m := s.make(t, func(c *vm.Config) { c.Console = blocked(release) })
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	m.stop(t)
	close(release)
}

// blocked is a writer that waits until it is closed.
type blocked chan struct{}

func (b blocked) Write(p []byte) (int, error) {
	<-b
	return len(p), nil
}
