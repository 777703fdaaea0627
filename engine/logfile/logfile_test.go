package logfile_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skerry-app/skerry/engine/logfile"
)

func all() logfile.Options { return logfile.Options{Tail: -1} }

func read(t *testing.T, l *logfile.Log, o logfile.Options) (stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	if e := l.Copy(t.Context(), o, &out, &err); e != nil {
		t.Fatal(e)
	}
	return out.String(), err.String()
}

func appendTo(t *testing.T, l *logfile.Log, s logfile.Stream, data string) {
	t.Helper()
	if err := l.Append(s, []byte(data)); err != nil {
		t.Fatal(err)
	}
}

func TestStreamsStayApartAndWhole(t *testing.T) {
	l := logfile.Open(filepath.Join(t.TempDir(), "log"), logfile.DefaultSegment)
	l.Begin()
	big := strings.Repeat("\x00\xff\n", 1<<20) // more than one record
	appendTo(t, l, logfile.Stdout, "one\n")
	appendTo(t, l, logfile.Stderr, "two")
	appendTo(t, l, logfile.Stdout, big)
	for _, when := range []string{"open", "ended"} {
		if out, err := read(t, l, all()); out != "one\n"+big || err != "two" {
			t.Errorf("%s: %d bytes of stdout, stderr %q", when, len(out), err)
		}
		if err := l.End(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTailAndTimestamps(t *testing.T) {
	l := logfile.Open(t.TempDir(), logfile.DefaultSegment)
	appendTo(t, l, logfile.Stdout, "a\nb")
	appendTo(t, l, logfile.Stdout, "b\nc\n")
	appendTo(t, l, logfile.Stderr, "d\n")
	appendTo(t, l, logfile.Stdout, "e") // no newline yet
	for _, tc := range []struct {
		tail     int
		out, err string
	}{
		{-1, "a\nbb\nc\ne", "d\n"}, {0, "", ""}, {1, "e", ""}, {2, "e", "d\n"}, {3, "c\ne", "d\n"}, {4, "bb\nc\ne", "d\n"}, {9, "a\nbb\nc\ne", "d\n"},
	} {
		out, err := read(t, l, logfile.Options{Tail: tc.tail})
		if out != tc.out || err != tc.err {
			t.Errorf("tail %d: %q and %q, want %q and %q", tc.tail, out, err, tc.out, tc.err)
		}
	}
	out, _ := read(t, l, logfile.Options{Tail: -1, Timestamps: true})
	lines := strings.Split(out, "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines in %q", len(lines), out)
	}
	for i, want := range []string{"a", "bb", "c", "e"} {
		stamp, text, _ := strings.Cut(lines[i], " ")
		if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil || text != want {
			t.Errorf("line %d is %q, want a time and %q (%v)", i, lines[i], want, err)
		}
	}
}

func TestSinceAndUntil(t *testing.T) {
	l := logfile.Open(t.TempDir(), logfile.DefaultSegment)
	appendTo(t, l, logfile.Stdout, "early\n")
	between := time.Now()
	for !time.Now().After(between) {
	}
	appendTo(t, l, logfile.Stdout, "late\n")
	if out, _ := read(t, l, logfile.Options{Tail: -1, Since: between}); out != "late\n" {
		t.Errorf("since: %q", out)
	}
	if out, _ := read(t, l, logfile.Options{Tail: -1, Until: between}); out != "early\n" {
		t.Errorf("until: %q", out)
	}
}

func TestFollowAcrossSegments(t *testing.T) {
	l := logfile.Open(t.TempDir(), 4096) // two segments hold all that is written
	l.Begin()
	var want, got strings.Builder
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := l.Copy(t.Context(), logfile.Options{Follow: true, Tail: -1}, &got, nil); err != nil {
			t.Error(err)
		}
	})
	for i := range 80 {
		line := fmt.Sprintf("%03d %s\n", i, strings.Repeat("x", 60))
		want.WriteString(line)
		appendTo(t, l, logfile.Stdout, line)
	}
	if err := l.End(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if got.String() != want.String() {
		t.Errorf("the follower has %d bytes, want %d", got.Len(), want.Len())
	}
}

func TestOldSegmentsGo(t *testing.T) {
	dir := t.TempDir()
	l := logfile.Open(dir, 4096)
	for i := range 1000 {
		appendTo(t, l, logfile.Stdout, fmt.Sprintf("%09d\n", i))
	}
	out, _ := read(t, l, all())
	if len(out) < 1000 || len(out) > 2*4096 || !strings.HasSuffix(out, "000000999\n") {
		t.Errorf("%d bytes are kept, ending %q", len(out), out[max(0, len(out)-20):])
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%d segments are kept (%v), want 2", len(entries), err)
	}
}

func TestFollowEndsWithContext(t *testing.T) {
	l := logfile.Open(t.TempDir(), logfile.DefaultSegment)
	l.Begin()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Copy(ctx, logfile.Options{Follow: true, Tail: -1}, nil, nil); err != context.Canceled {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestCutRecordIsDropped(t *testing.T) {
	dir := t.TempDir()
	l := logfile.Open(dir, logfile.DefaultSegment)
	appendTo(t, l, logfile.Stdout, "kept\n")
	appendTo(t, l, logfile.Stdout, "cut short\n")
	if err := l.End(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "output-000001.log")
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, st.Size()-3); err != nil {
		t.Fatal(err)
	}
	l = logfile.Open(dir, logfile.DefaultSegment)
	if out, _ := read(t, l, all()); out != "kept\n" {
		t.Errorf("before writing: %q", out)
	}
	appendTo(t, l, logfile.Stdout, "new\n")
	if out, _ := read(t, l, all()); out != "kept\nnew\n" {
		t.Errorf("after writing: %q", out)
	}
}

func TestDamageIsSaid(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "output-000001.log"), bytes.Repeat([]byte{9}, 40), 0o600); err != nil {
		t.Fatal(err)
	}
	l := logfile.Open(dir, logfile.DefaultSegment)
	if err := l.Copy(t.Context(), all(), nil, nil); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v", err)
	}
}
