package logfile

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Options chooses what Copy writes.
type Options struct {
	Follow     bool      // go on with what comes until the log ends
	Since      time.Time // zero: from the beginning
	Until      time.Time // zero: no end
	Tail       int       // only the last lines of both streams together; negative: all
	Timestamps bool      // begin each line with its time, RFC 3339 with nanoseconds
}

// Copy writes the log's output to stdout and stderr, either of which may be
// nil. It ends at the end of the log or, when following, when the log ends.
func (l *Log) Copy(ctx context.Context, o Options, stdout, stderr io.Writer) error {
	out := &lines{o: o, to: map[Stream]io.Writer{Stdout: stdout, Stderr: stderr}}
	if o.Tail >= 0 {
		total := &lines{o: o, to: out.to, count: true}
		if err := l.each(ctx, false, total.record); err != nil {
			return err
		}
		out.skip = max(0, total.seen()-o.Tail)
	}
	return l.each(ctx, o.Follow, out.record)
}

var errStop = errors.New("stop reading")

// each calls f for every record, oldest first.
func (l *Log) each(ctx context.Context, follow bool, f func(Record) error) error {
	err := l.segmentsFrom(ctx, follow, f)
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

func (l *Log) segmentsFrom(ctx context.Context, follow bool, f func(Record) error) error {
	next := 0 // read segments from this number on
	for {
		// The position is taken before looking, so that what comes between
		// looking and waiting wakes us.
		_, _, ended, grown := l.position()
		ns, err := segments(l.dir)
		if err != nil {
			return err
		}
		for _, n := range ns {
			if n < next {
				continue
			}
			if err := l.segment(ctx, n, follow, f); err != nil {
				return err
			}
			next = n + 1
		}
		if !follow || ended {
			return nil
		}
		if err := wait(ctx, grown); err != nil {
			return err
		}
	}
}

// segment reads one segment. While it is the one that is written to and follow
// is set, it waits for more.
func (l *Log) segment(ctx context.Context, n int, follow bool, f func(Record) error) error {
	file, err := os.Open(segmentPath(l.dir, n))
	if errors.Is(err, os.ErrNotExist) {
		return nil // rotated away meanwhile
	}
	if err != nil {
		return err
	}
	defer file.Close()
	var off int64
	for {
		current, size, ended, grown := l.position()
		if current != n {
			size = -1
		}
		if off, err = records(file, off, size, f); err != nil {
			return err
		}
		if !follow || ended || current > n {
			return nil
		}
		if current == 0 { // open, but nothing was appended yet: any segment may be the one
			if newest, err := segments(l.dir); err != nil || len(newest) > 0 && newest[len(newest)-1] > n {
				return err
			}
		}
		if err := wait(ctx, grown); err != nil {
			return err
		}
	}
}

// records reads whole records from off to limit (-1: the end of the file) and
// returns where it stopped.
func records(file *os.File, off, limit int64, f func(Record) error) (int64, error) {
	if limit < 0 {
		limit = 1 << 62
	}
	r := bufio.NewReaderSize(io.NewSectionReader(file, off, limit-off), 256<<10)
	var h [headerSize]byte
	for {
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return off, nil // the end, or a record cut short by a crash
		}
		rec, n, err := parseHeader(h[:])
		if err != nil {
			return off, fmt.Errorf("container log %s at byte %d: %w", file.Name(), off, err)
		}
		rec.Data = make([]byte, n)
		if _, err := io.ReadFull(r, rec.Data); err != nil {
			return off, nil
		}
		off += int64(headerSize + n)
		if err := f(rec); err != nil {
			return off, err
		}
	}
}

func wait(ctx context.Context, grown <-chan struct{}) error {
	select {
	case <-grown:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lines cuts records into lines, as far as tails and timestamps need it.
type lines struct {
	o     Options
	to    map[Stream]io.Writer
	count bool // only count
	skip  int  // lines to leave out
	full  int  // lines ended so far
	open  [3]bool
	gone  [3]bool // the open line of a stream is left out
}

// seen counts the lines, unfinished ones too.
func (l *lines) seen() int {
	n := l.full
	for _, open := range l.open {
		if open {
			n++
		}
	}
	return n
}

func (l *lines) record(r Record) error {
	w := l.to[r.Stream]
	if w == nil || r.Time.Before(l.o.Since) {
		return nil
	}
	if !l.o.Until.IsZero() && r.Time.After(l.o.Until) {
		return errStop
	}
	if l.o.Tail < 0 && !l.o.Timestamps {
		_, err := w.Write(r.Data)
		return err
	}
	for _, line := range bytes.SplitAfter(r.Data, []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		if err := l.line(w, r, line); err != nil {
			return err
		}
	}
	return nil
}

func (l *lines) line(w io.Writer, r Record, line []byte) error {
	begins := !l.open[r.Stream]
	ends := line[len(line)-1] == '\n'
	if begins {
		l.gone[r.Stream] = l.skip > 0
		if l.skip > 0 {
			l.skip--
		}
	}
	l.open[r.Stream] = !ends
	if ends {
		l.full++
	}
	if l.count || l.gone[r.Stream] {
		return nil
	}
	if begins && l.o.Timestamps {
		stamp := r.Time.UTC().Format("2006-01-02T15:04:05.000000000Z07:00 ")
		if _, err := io.WriteString(w, stamp); err != nil {
			return err
		}
	}
	_, err := w.Write(line)
	return err
}
