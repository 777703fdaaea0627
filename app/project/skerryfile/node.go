package skerryfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// node is a value of the document with its place.
type node struct {
	name   string // key, or empty for an array's element
	key    position
	at     position // of the value
	header position // the [table] header above; source is nil when there is none

	scalar   any // string, int64, float64, bool or time.Time; nil for the others
	elements []*node
	table    map[string]*node
	isArray  bool
}

// isTable tells tables from scalars and arrays.
func (n *node) isTable() bool { return n.table != nil }

// keys are a table's, in the order of the file.
func (n *node) keys() []string {
	names := make([]string, 0, len(n.table))
	for name := range n.table {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := n.table[a].key.offset - n.table[b].key.offset; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return names
}

// parse reads a document. The error is a Problems with what is no TOML.
func parse(src *source) (*node, error) {
	src.text = strings.TrimPrefix(src.text, "\ufeff")
	var document map[string]any
	_, err := toml.Decode(src.text, &document)
	var broken toml.ParseError
	if errors.As(err, &broken) {
		return nil, Problems{problemAt(position{src, broken.Position.Start}, sentence(broken.Message))}
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", src.path, err)
	}
	b := builder{src: src, places: scan(src.text)}
	return b.table("", "", document), nil
}

// sentence puts the library's words into the house style.
func sentence(text string) string {
	text = strings.TrimSuffix(strings.ReplaceAll(text, "\n", " "), ".")
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToLower(first)) + text[size:]
}

// builder joins values and places.
type builder struct {
	src    *source
	places map[keyPath]place
}

func (b *builder) new(p keyPath, name string) *node {
	at := b.places[p]
	n := &node{name: name, key: position{b.src, at.key}, at: position{b.src, at.value}}
	if at.header >= 0 && p != "" {
		n.header = position{b.src, at.header}
	}
	return n
}

func (b *builder) table(p keyPath, name string, values map[string]any) *node {
	n := b.new(p, name)
	n.table = make(map[string]*node, len(values))
	for key, value := range values {
		n.table[key] = b.value(p.child(key), key, value)
	}
	return n
}

func (b *builder) value(p keyPath, name string, value any) *node {
	switch v := value.(type) {
	case map[string]any:
		return b.table(p, name, v)
	case []any:
		n := b.new(p, name)
		n.isArray = true
		for i, element := range v {
			n.elements = append(n.elements, b.value(p.element(i), "", element))
		}
		return n
	case []map[string]any:
		n := b.new(p, name)
		n.isArray = true
		for i, element := range v {
			n.elements = append(n.elements, b.table(p.element(i), "", element))
		}
		return n
	default:
		n := b.new(p, name)
		n.scalar = v
		return n
	}
}

// merge lays over on top of base: tables merge, everything else replaces.
func merge(base, over *node) *node {
	if base == nil || !base.isTable() || over == nil || !over.isTable() {
		if over == nil {
			return base
		}
		return over
	}
	merged := *over
	merged.table = make(map[string]*node, len(base.table)+len(over.table))
	for name, n := range base.table {
		merged.table[name] = n
	}
	for name, n := range over.table {
		merged.table[name] = merge(base.table[name], n)
	}
	return &merged
}

// kind names what a node is, for people.
func (n *node) kind() string {
	switch v := n.scalar.(type) {
	case string:
		return fmt.Sprintf("the string %q", v)
	case int64:
		return fmt.Sprintf("the integer %d", v)
	case float64:
		return fmt.Sprintf("the number %g", v)
	case bool:
		return fmt.Sprintf("the boolean %t", v)
	case nil:
		if n.isArray {
			return "a list"
		}
		return "a table"
	default:
		return "a date"
	}
}
