package vmtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/engine/vm/vmtest/guest/ports"
)

// bootID is a file in the guest that is another after each boot.
const bootID = "/proc/sys/kernel/random/boot_id"

// testSave saves machines and brings them back.
func (s *suite) testSave(t *testing.T) {
	s.noLeaks(t)
	scratch := filepath.Join(t.TempDir(), "scratch")
	if err := os.WriteFile(scratch, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	host, guest := frameSocket(t)
	usual := func(c *vm.Config) {
		c.Disks = append(c.Disks, vm.Disk{Path: scratch, Serial: "scratch"})
		c.NICs = []vm.NIC{{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, MTU: 1500, File: guest}}
	}
	m := s.boot(t, usual)
	dir := filepath.Join(t.TempDir(), "saved")
	save := func(m *machine) error { return m.Save(t.Context(), dir) }
	if err := save(m); err == nil {
		t.Fatal("a machine that runs was saved")
	}
	id := m.must(t, ports.Request{Do: "read", Argument: bootID})
	before := m.dial(t, ports.Answer)
	words := make([]byte, len("last words"))
	if _, err := io.ReadFull(before, words); err != nil || string(words) != "last words" {
		t.Fatalf("the guest says %q, %v", words, err)
	}
	pause(t, m)
	err := save(m)
	if !s.Saves {
		if !errors.Is(err, vm.ErrNotSavable) {
			t.Fatalf("save: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := save(m); !errors.Is(err, os.ErrExist) {
		t.Errorf("saved over what is there: %v", err)
	}
	// Saving took nothing from the machine.
	resume(t, m)
	if got := m.must(t, ports.Request{Do: "read", Argument: bootID}); got != id {
		t.Error("the guest that was saved has another boot")
	}
	pause(t, m)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := save(m); err != nil {
		t.Fatal(err)
	}
	m.stop(t)

	t.Run("Other", func(t *testing.T) { s.testRestoreOther(t, dir, usual) })
	t.Run("Damaged", func(t *testing.T) { s.testRestoreDamaged(t, dir, usual) })

	back := s.make(t, func(c *vm.Config) { usual(c); c.Restore = dir })
	report, err := back.Listen(ports.Report)
	if err != nil {
		t.Fatal(err)
	}
	defer report.Close()
	if err := back.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	resume(t, back)
	if got := back.must(t, ports.Request{Do: "read", Argument: bootID}); got != id {
		t.Errorf("the guest has boot %q, and had %q", got, id)
	}
	// The guest has noticed that its connection is gone.
	timer := time.AfterFunc(waitTimeout, func() { report.Close() })
	defer timer.Stop()
	if c, err := report.Accept(); err != nil {
		t.Errorf("the guest tells nothing of its old connection: %v", err)
	} else if text := readAll(t, c); !strings.Contains(string(text), "reset") {
		t.Errorf("the guest's old connection ended with %q", text)
	} else {
		c.Close()
	}
	back.must(t, ports.Request{Do: "write", Argument: "/dev/vdb"})
	back.must(t, ports.Request{Do: "print", Argument: "the console works"})
	waitFor(t, "what the guest prints", func() bool { return strings.Contains(back.console.String(), "the console works") })
	back.tell(t, ports.Request{Do: "frames", Argument: "eth0"})
	if frame := nextFrame(t, host); !bytes.Contains(frame, []byte("hello")) {
		t.Errorf("the guest's frame is %x", frame)
	}
	back.stop(t)
	if data, err := os.ReadFile(scratch); err != nil || !strings.HasPrefix(string(data), ports.Greeting) {
		t.Errorf("what the guest wrote is not on the disk: %v", err)
	}
}

func pause(t *testing.T, m *machine) {
	t.Helper()
	if err := m.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func resume(t *testing.T, m *machine) {
	t.Helper()
	if err := m.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// testRestoreOther wants other machines to be refused before they exist.
func (s *suite) testRestoreOther(t *testing.T, dir string, usual func(*vm.Config)) {
	s.noLeaks(t)
	for says, change := range map[string]func(*vm.Config){
		"memory":    func(c *vm.Config) { c.Memory *= 2 },
		"disks":     func(c *vm.Config) { c.Disks = c.Disks[:1] },
		"machine.j": func(c *vm.Config) { c.Restore = t.TempDir() },
	} {
		c := s.config(t, nil)
		usual(&c)
		c.Restore = dir
		change(&c)
		m, err := s.driver.New(t.Context(), c)
		if err == nil {
			m.Stop(context.Background())
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// testRestoreDamaged wants the start of a machine to fail whose state is cut off,
// or is none.
func (s *suite) testRestoreDamaged(t *testing.T, dir string, usual func(*vm.Config)) {
	s.noLeaks(t)
	for _, damage := range []func(data []byte) []byte{
		func(data []byte) []byte { return data[:len(data)/2] },
		func(data []byte) []byte { return nil },
		func(data []byte) []byte { return []byte(strings.Repeat("garbage ", 1000)) },
	} {
		other := filepath.Join(t.TempDir(), "damaged")
		if err := os.CopyFS(other, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(other, s.State)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, damage(data), 0o600); err != nil {
			t.Fatal(err)
		}
		m := s.make(t, func(c *vm.Config) { usual(c); c.Restore = other })
		if err := m.Start(t.Context()); err == nil {
			t.Error("a damaged machine starts")
		} else {
			t.Log(err)
		}
		m.wantEnded(t)
	}
}
