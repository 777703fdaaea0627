package skerryfile

import (
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// The TOML library gives values without positions, and its parser cannot be
// imported. The scanner finds where the keys and values of a document stand.
// It relies on the library having accepted the document: it finds its way
// through valid TOML 1.1 and judges nothing.

// place is where a key and its value stand.
type place struct {
	key, value int
	// header is the offset of the [table] header that the key follows, -1 when
	// it stands above all headers.
	header int
}

// path identifies a key or an array's element in a document.
type keyPath string

func (p keyPath) child(key string) keyPath  { return p + "\x00" + keyPath(key) }
func (p keyPath) element(index int) keyPath { return p + "\x01" + keyPath(strconv.Itoa(index)) }

type scanner struct {
	text   string
	at     int
	header int
	places map[keyPath]place
	arrays map[keyPath]int // elements so far, of arrays of tables
}

// scan returns the places of all keys and array elements. Of a table that is
// opened in several places it is the first.
func scan(text string) map[keyPath]place {
	s := &scanner{text: text, header: -1, places: map[keyPath]place{}, arrays: map[keyPath]int{}}
	var table keyPath
	for s.blank(); s.at < len(s.text); s.blank() {
		if s.peek() == '[' {
			table = s.tableHeader()
			continue
		}
		s.keyValue(table)
	}
	return s.places
}

func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// skip moves on by n bytes, at most to the end.
func (s *scanner) skip(n int) { s.at = min(s.at+n, len(s.text)) }

// blank skips white space, line ends and comments.
func (s *scanner) blank() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\r', '\n':
			s.skip(1)
		case '#':
			s.skipTo("\n")
		default:
			return
		}
	}
}

// skipTo moves to the next of the bytes in set, or to the end.
func (s *scanner) skipTo(set string) {
	if i := strings.IndexAny(s.text[s.at:], set); i >= 0 {
		s.at += i
	} else {
		s.at = len(s.text)
	}
}

func (s *scanner) note(p keyPath, key, value int) {
	if _, known := s.places[p]; !known {
		s.places[p] = place{key: key, value: value, header: s.header}
	}
}

// tableHeader reads [a.b] or [[a.b]].
func (s *scanner) tableHeader() keyPath {
	s.header = s.at
	isArray := strings.HasPrefix(s.text[s.at:], "[[")
	for s.peek() == '[' {
		s.skip(1)
	}
	var p keyPath
	parts := s.key()
	for i, part := range parts {
		p = p.child(part.name)
		s.note(p, part.at, part.at)
		count, known := s.arrays[p]
		if last := i == len(parts)-1; last && isArray {
			s.arrays[p] = count + 1
			p = p.element(count)
			s.note(p, part.at, part.at)
		} else if known {
			p = p.element(count - 1)
		}
	}
	s.skipTo("\n") // the closing brackets and a comment
	return p
}

// keyPart is one name of a dotted key.
type keyPart struct {
	name string
	at   int
}

// key reads a dotted key.
func (s *scanner) key() []keyPart {
	var parts []keyPart
	for {
		s.blank()
		part := keyPart{at: s.at}
		if c := s.peek(); c == '"' || c == '\'' {
			part.name = s.quoted()
		} else {
			s.skipTo(" \t\r\n.=]")
			part.name = s.text[part.at:s.at]
		}
		parts = append(parts, part)
		s.blank()
		if s.peek() != '.' {
			return parts
		}
		s.skip(1)
	}
}

// quoted reads a quoted key with the library's own idea of its escapes.
func (s *scanner) quoted() string {
	begin := s.at
	s.str()
	var doc map[string]any
	if _, err := toml.Decode("x = "+s.text[begin:s.at], &doc); err != nil {
		return s.text[begin:s.at]
	}
	name, _ := doc["x"].(string)
	return name
}

func (s *scanner) keyValue(table keyPath) {
	begin := s.at
	p := table
	var last keyPart
	for _, part := range s.key() {
		p = p.child(part.name)
		last = part
		s.note(p, part.at, part.at)
	}
	s.skipTo("=")
	s.skip(1)
	s.blank()
	s.places[p] = place{key: last.at, value: s.at, header: s.header}
	s.value(p)
	s.onwards(begin)
}

// onwards makes sure that the scanner does not stand still, which it does in
// no valid document.
func (s *scanner) onwards(begin int) {
	if s.at <= begin {
		s.at = min(begin+1, len(s.text))
	}
}

func (s *scanner) value(p keyPath) {
	switch s.peek() {
	case '"', '\'':
		s.str()
	case '[':
		s.skip(1)
		for i := 0; ; i++ {
			s.skipSeparators()
			if s.at >= len(s.text) || s.peek() == ']' {
				s.skip(1)
				return
			}
			element, begin := p.element(i), s.at
			s.note(element, s.at, s.at)
			s.value(element)
			s.onwards(begin)
		}
	case '{':
		s.skip(1)
		for {
			s.skipSeparators()
			if s.at >= len(s.text) || s.peek() == '}' {
				s.skip(1)
				return
			}
			s.keyValue(p)
		}
	default:
		s.skipTo(",]}#\r\n")
	}
}

func (s *scanner) skipSeparators() {
	for s.blank(); s.peek() == ','; s.blank() {
		s.skip(1)
	}
}

// str skips a string of any of the four kinds.
func (s *scanner) str() {
	quote := s.text[s.at : s.at+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(s.text[s.at:], triple) {
		s.skip(len(triple))
		s.endOfString(triple, quote == `"`)
		for i := 0; i < 2 && s.peek() == quote[0]; i++ { // """"" ends with two quotes of the text's own
			s.skip(1)
		}
		return
	}
	s.skip(1)
	s.endOfString(quote, quote == `"`)
}

func (s *scanner) endOfString(end string, escapes bool) {
	for s.at < len(s.text) {
		switch {
		case escapes && s.peek() == '\\':
			s.skip(2)
		case strings.HasPrefix(s.text[s.at:], end):
			s.skip(len(end))
			return
		default:
			s.skip(1)
		}
	}
	s.at = len(s.text)
}
