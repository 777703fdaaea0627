package skerryfile

import (
	"strings"
	"unicode/utf8"
)

// source is a file that was read, for positions in it.
type source struct {
	path string
	text string
}

// position is a place in a source: a byte offset, so that it costs nothing
// until it is shown.
type position struct {
	source *source
	offset int
}

// lineColumn are counted from 1, the column in characters.
func (p position) lineColumn() (line, column int) {
	before := p.source.text[:min(p.offset, len(p.source.text))]
	begin := strings.LastIndexByte(before, '\n') + 1
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[begin:]) + 1
}

// lineText is the line that p is in.
func (p position) lineText() string {
	text := p.source.text
	at := min(p.offset, len(text))
	begin := strings.LastIndexByte(text[:at], '\n') + 1
	end := strings.IndexByte(text[at:], '\n')
	if end < 0 {
		return strings.TrimSuffix(text[begin:], "\r")
	}
	return strings.TrimSuffix(text[begin:at+end], "\r")
}
