package vz

import (
	"errors"
	"strings"
	"testing"
)

func TestLife(t *testing.T) {
	fault := errors.New("fault")
	for name, test := range map[string]struct {
		do    func(l *life)
		begin error
		up    error
		err   error
	}{
		"made":                 {func(l *life) {}, nil, errNotUp, nil},
		"started":              {func(l *life) { l.begin() }, errStarted, nil, nil},
		"stopped unstarted":    {func(l *life) { l.stop() }, errEnded, errEnded, nil},
		"stopping":             {func(l *life) { l.begin(); l.stop() }, errEnded, errEnded, nil},
		"ended by itself":      {func(l *life) { l.begin(); l.end(); l.over(fault) }, errEnded, errEnded, fault},
		"ended while stopping": {func(l *life) { l.begin(); l.stop(); l.end(); l.over(fault) }, errEnded, errEnded, nil},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLife()
			test.do(l)
			if err := l.up(); err != test.up {
				t.Errorf("up: %v, want %v", err, test.up)
			}
			if err := l.reason(); err != test.err {
				t.Errorf("reason: %v, want %v", err, test.err)
			}
			if err := l.begin(); err != test.begin {
				t.Errorf("begin: %v, want %v", err, test.begin)
			}
		})
	}
}

func TestOneEnds(t *testing.T) {
	l := newLife()
	if l.stop() {
		t.Error("a machine that was not started has something to stop")
	}
	l = newLife()
	l.begin()
	if l.isStopping() {
		t.Error("nobody has stopped it")
	}
	for range 2 {
		if !l.stop() {
			t.Error("a machine that was started has nothing to stop")
		}
	}
	if !l.isStopping() {
		t.Error("it is to stop and does not know")
	}
	if !l.end() {
		t.Error("the first caller does not end it")
	}
	if l.end() {
		t.Error("a second caller ends it")
	}
}

func TestEnding(t *testing.T) {
	for name, test := range map[string]struct {
		ending ending
		says   []string // none: no error
	}{
		"power-off":              {ending{last: "reboot: Power down"}, nil},
		"panic":                  {ending{panic: "Kernel panic - not syncing: x", last: "more"}, []string{"kernel panicked", "not syncing: x"}},
		"panic seen as failure":  {ending{failed: true, panic: "Kernel panic - not syncing: x"}, []string{"kernel panicked"}},
		"failure":                {ending{failed: true, last: "the last line"}, []string{"log show", "the last line"}},
		"failure without a word": {ending{failed: true}, []string{"log show"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.ending.err()
			if (err == nil) != (test.says == nil) {
				t.Fatalf("got %v", err)
			}
			for _, text := range test.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%q does not say %q", err, text)
				}
			}
		})
	}
}
