package vmtest

import (
	"strings"
	"testing"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/engine/vm/vmtest/guest/ports"
)

// testNested has the guest run a virtual CPU: it does where that was asked for
// and nowhere else.
func (s *suite) testNested(t *testing.T) {
	s.noLeaks(t)
	plain := s.boot(t, nil)
	if a := plain.ask(t, ports.Request{Do: "nest"}); a.Error == "" {
		t.Error("a guest runs machines that was not made to")
	}
	if !s.Nests {
		c := s.config(t, nil)
		c.Nested = true
		m, err := s.driver.New(t.Context(), c)
		if err == nil {
			m.Stop(t.Context())
			t.Fatal("a machine is made that is to run machines, which cannot be had here")
		}
		if !strings.Contains(err.Error(), "machines inside") {
			t.Errorf("the error is %v", err)
		}
		return
	}
	m := s.boot(t, func(c *vm.Config) { c.Nested = true })
	m.must(t, ports.Request{Do: "nest"})
}
