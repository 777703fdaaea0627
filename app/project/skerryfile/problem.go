package skerryfile

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// Problem is one mistake in a project file.
type Problem struct {
	File    string
	Line    int // from 1
	Column  int // from 1, in characters
	Message string
	Text    string // the line as it is
}

func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

func problemAt(at position, message string) Problem {
	line, column := at.lineColumn()
	return Problem{File: at.source.path, Line: line, Column: column, Message: message, Text: at.lineText()}
}

// Problems are all mistakes of a project file, sorted by place. As an error
// its text has one line for each and one that says how many there are.
type Problems []Problem

func (p Problems) Error() string {
	var text strings.Builder
	p.Print(&text, "", false)
	return strings.TrimSuffix(text.String(), "\n")
}

// InvalidParameter makes Problems an errdefs.ErrInvalidArgument.
func (p Problems) InvalidParameter() {}

// Print writes a line for each problem, files relative to the directory here
// where that is shorter, and with excerpts the line of the file that is meant.
func (p Problems) Print(w io.Writer, here string, excerpts bool) {
	for _, problem := range p {
		if short, err := filepath.Rel(here, problem.File); here != "" && err == nil && len(short) < len(problem.File) {
			problem.File = short
		}
		fmt.Fprintln(w, problem)
		if excerpts {
			fmt.Fprint(w, problem.excerpt())
		}
	}
	if len(p) == 1 {
		fmt.Fprintln(w, "1 problem; nothing was started")
		return
	}
	fmt.Fprintf(w, "%d problems; nothing was started\n", len(p))
}

// excerpt shows the line and points at the column.
func (p Problem) excerpt() string {
	var before strings.Builder
	for i, r := range []rune(p.Text) {
		switch {
		case i >= p.Column-1:
		case r == '\t':
			before.WriteRune(r) // as wide as in the line above
		default:
			before.WriteByte(' ')
		}
	}
	return fmt.Sprintf("%6d | %s\n       | %s^\n", p.Line, visible(p.Text), before.String())
}

// visible replaces control characters, which must not reach a terminal.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && (r < ' ' || (r >= 0x7f && r < 0xa0)) {
			return '?'
		}
		return r
	}, text)
}

// report collects problems, each once: a value that several containers share
// through [defaults] is looked at for each of them.
type report struct {
	problems Problems
}

func (r *report) add(at position, format string, a ...any) {
	p := problemAt(at, fmt.Sprintf(format, a...))
	if !slices.Contains(r.problems, p) {
		r.problems = append(r.problems, p)
	}
}

// err is nil when nothing was added. The first file's problems come first.
func (r *report) err(order []*source) error {
	if len(r.problems) == 0 {
		return nil
	}
	rank := map[string]int{}
	for i, src := range order {
		rank[src.path] = i
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(rank[a.File], rank[b.File]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return r.problems
}
