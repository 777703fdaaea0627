//go:build linux

package qemu

import (
	"bytes"
	"strings"
	"sync"
)

// tailSize is how much of what QEMU or the guest printed is kept for errors.
const tailSize = 4 << 10

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

// lines returns the last n lines that are not empty, without what a terminal
// would interpret.
func (t *tail) lines(n int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var kept []string
	for line := range bytes.Lines(t.data) {
		if text := strings.TrimSpace(printable(line)); text != "" {
			kept = append(kept, text)
		}
	}
	return strings.Join(kept[max(0, len(kept)-n):], "\n")
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
