//go:build linux

package qemu

import (
	"bytes"
	"slices"
	"strings"
	"sync"
)

// tailSize is how much of what QEMU or the guest printed is kept for errors.
const tailSize = 8 << 10

// tail is a writer that keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	data []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p[max(0, len(p)-tailSize):]...)
	if extra := len(t.data) - tailSize; extra > 0 {
		t.data = t.data[:copy(t.data, t.data[extra:])]
	}
	return len(p), nil
}

// last returns the last n lines that are not empty, without what a terminal
// would interpret.
func (t *tail) last(n int) string {
	kept := t.lines()
	return strings.Join(kept[max(0, len(kept)-n):], "\n")
}

// from returns n lines from the last one on that contains a text, nothing if
// there is none.
func (t *tail) from(text string, n int) string {
	kept := t.lines()
	for i, line := range slices.Backward(kept) {
		if strings.Contains(line, text) {
			return strings.Join(kept[i:min(len(kept), i+n)], "\n")
		}
	}
	return ""
}

func (t *tail) lines() (kept []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for line := range bytes.Lines(t.data) {
		if text := strings.TrimSpace(printable(line)); text != "" {
			kept = append(kept, text)
		}
	}
	return kept
}

// printable drops control characters.
func printable(line []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(line), "?"))
}
