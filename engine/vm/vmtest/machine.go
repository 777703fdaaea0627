package vmtest

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/engine/vm/vmtest/guest/ports"
)

const (
	// bootTimeout is enough for a translated guest on a busy host.
	bootTimeout = 90 * time.Second
	// waitTimeout bounds every other wait.
	waitTimeout = 30 * time.Second
)

type suite struct {
	Subject
	driver vm.Driver
	image  string
	made   atomic.Int64 // machines
	// attached counts their network block devices.
	attached atomic.Int64
}

// machine is a machine whose guest is up.
type machine struct {
	vm.Machine
	console *transcript
}

// config is a configuration that works.
func (s *suite) config(t *testing.T, console io.Writer) vm.Config {
	return vm.Config{
		Name:    strings.ReplaceAll(t.Name(), "/", "-"),
		Kernel:  s.Kernel,
		Cmdline: []string{"root=/dev/vda", "ro", "init=/init"},
		CPUs:    1,
		Memory:  256 << 20,
		Disks:   []vm.Disk{{Path: s.image, ReadOnly: true, Serial: "root"}},
		Console: console,
	}
}

// make makes a machine, changed by change unless that is nil.
func (s *suite) make(t *testing.T, change func(*vm.Config)) *machine {
	t.Helper()
	m := &machine{console: &transcript{}}
	c := s.config(t, m.console)
	if change != nil {
		change(&c)
	}
	var err error
	if m.Machine, err = s.driver.New(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	s.made.Add(1)
	t.Cleanup(func() {
		if err := m.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("console:\n%s", m.console)
		}
	})
	return m
}

// boot makes a machine and returns when its guest has called.
func (s *suite) boot(t *testing.T, change func(*vm.Config)) *machine {
	t.Helper()
	m := s.make(t, change)
	l, err := m.Listen(ports.Ready)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(bootTimeout, func() { l.Close() })
	defer timer.Stop()
	c, err := l.Accept()
	if err != nil {
		t.Fatalf("the guest has not called: %v (machine: %v)\n%s", err, m.Err(), m.console)
	}
	defer c.Close()
	if greeting := readAll(t, c); string(greeting) != ports.Greeting {
		t.Fatalf("the guest said %q", greeting)
	}
	return m
}

// dial connects to a port of the guest.
func (m *machine) dial(t *testing.T, port uint32) vm.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	c, err := m.Dial(ctx, port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(waitTimeout))
	return c
}

// tell has the guest do something, without an answer.
func (m *machine) tell(t *testing.T, r ports.Request) vm.Conn {
	t.Helper()
	c := m.dial(t, ports.Control)
	if err := json.NewEncoder(c).Encode(r); err != nil {
		t.Fatal(err)
	}
	return c
}

// ask has the guest do something and returns its answer.
func (m *machine) ask(t *testing.T, r ports.Request) ports.Response {
	t.Helper()
	c := m.tell(t, r)
	defer c.Close()
	var a ports.Response
	if err := json.NewDecoder(c).Decode(&a); err != nil {
		t.Fatalf("%+v: %v", r, err)
	}
	return a
}

// must is ask for what has to work.
func (m *machine) must(t *testing.T, r ports.Request) string {
	t.Helper()
	a := m.ask(t, r)
	if a.Error != "" {
		t.Fatalf("%+v: %s", r, a.Error)
	}
	return a.Result
}

// ended waits for the end of the machine and returns its reason.
func (m *machine) ended(t *testing.T) error {
	t.Helper()
	select {
	case <-m.Done():
		return m.Err()
	case <-time.After(bootTimeout):
		t.Fatal("the machine has not ended")
		return nil
	}
}

func readAll(t *testing.T, c net.Conn) []byte {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(waitTimeout))
	data, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// transcript keeps what a console printed.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (p *transcript) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *transcript) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// waitFor polls until the condition holds: for what nothing announces.
func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(waitTimeout); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatalf("%s: not within %v", what, waitTimeout)
}
