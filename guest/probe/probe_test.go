//go:build linux

package probe

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestProbes(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ready":
			w.Write([]byte(strings.Repeat("ready ", 10_000)))
		case "/moved":
			http.Redirect(w, r, "/broken", http.StatusFound)
		default:
			http.Error(w, "broken", http.StatusInternalServerError)
		}
	}))
	address := s.Listener.Addr().String()
	ctx := t.Context()
	if answer, err := HTTP(ctx, address, "/ready"); err != nil || !strings.HasPrefix(answer, "200 OK\nready") || len(answer) > 5000 {
		t.Errorf("%.40q (%d), %v", answer, len(answer), err)
	}
	if _, err := HTTP(ctx, address, "/moved"); err != nil {
		t.Error(err)
	}
	if answer, err := HTTP(ctx, address, "/"); err == nil || !strings.Contains(answer, "broken") {
		t.Errorf("%q, %v", answer, err)
	}
	if err := TCP(ctx, address); err != nil {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := TCP(ended, address); err == nil {
		t.Error("a probe goes on after its time")
	}
	s.Close()
	if err := TCP(ctx, address); err == nil {
		t.Error("nobody listens, and all is well")
	}
}
