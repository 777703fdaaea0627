package vz

import (
	"errors"
	"strings"
	"testing"
)

// TestLink: only an error before the first connection ends a machine, and nil is
// none.
func TestLink(t *testing.T) {
	gone := failure{vzErrorDomain, codeNBDNegotiation, "Negotiation."}
	l := &link{serial: "volume0", url: "nbd://host:10809/x"}
	links := []*link{{serial: "other"}, l}
	if err := l.failed(nil); err != nil || unmade(links) != nil {
		t.Errorf("no error is fatal: %v", err)
	}
	err := l.failed(gone)
	for _, want := range []string{`disk "volume0"`, l.url, "20001"} {
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, gone) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
	if got := (ending{disk: unmade(links), failed: true}).err(); got != err {
		t.Errorf("the machine's end: %v", got)
	}
	if l.connected() {
		t.Error("the first connection counts as the second")
	}
	if err := l.failed(gone); err != nil || unmade(links) != nil {
		t.Errorf("after a connection: %v, %v", err, unmade(links))
	}
	if !l.connected() {
		t.Error("the second connection counts as the first")
	}
}

func TestBlame(t *testing.T) {
	links := []*link{{serial: "a", url: "nbd://a/"}, {serial: "b", url: "nbd://b/"}}
	gone := failure{vzErrorDomain, codeNBDDisconnected, "Disconnected."}
	other := failure{vzErrorDomain, codeOutOfDiskSpace, "Full."}
	if err := blame(other, links); err != error(other) {
		t.Errorf("another failure: %v", err)
	}
	if err := blame(gone, links); !errors.Is(err, gone) || !strings.Contains(err.Error(), `disk "a" (nbd://a/) or disk "b"`) {
		t.Errorf("%v", err)
	}
	known := links[1].failed(gone)
	if err := blame(gone, links); err != known {
		t.Errorf("%v, want %v", err, known)
	}
}
