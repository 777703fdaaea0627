package console

import (
	"bytes"
	"slices"
	"strings"
	"sync"
)

// TailSize is how many bytes a Tail keeps.
const TailSize = 8 << 10

// Tail is a writer that keeps the end of what is written to it. Its zero value
// is ready for use.
type Tail struct {
	mu   sync.Mutex
	data []byte
}

// Write implements io.Writer and never fails.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p[max(0, len(p)-TailSize):]...)
	if extra := len(t.data) - TailSize; extra > 0 {
		t.data = t.data[:copy(t.data, t.data[extra:])]
	}
	return len(p), nil
}

// Last returns the last n lines that are not empty, without what a terminal
// would interpret.
func (t *Tail) Last(n int) string {
	kept := t.lines()
	return strings.Join(kept[max(0, len(kept)-n):], "\n")
}

// From returns n lines from the last one on that contains a text, nothing if
// there is none.
func (t *Tail) From(text string, n int) string {
	kept := t.lines()
	for i, line := range slices.Backward(kept) {
		if strings.Contains(line, text) {
			return strings.Join(kept[i:min(len(kept), i+n)], "\n")
		}
	}
	return ""
}

func (t *Tail) contains(text string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Contains(t.data, []byte(text))
}

func (t *Tail) lines() (kept []string) {
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
