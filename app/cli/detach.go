package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// defaultDetachKeys leave a terminal session without ending it.
const defaultDetachKeys = "ctrl-p,ctrl-q"

// errDetached is what a detachReader returns once it has seen its keys.
var errDetached = errors.New("detached")

// parseKeys reads docker's notation: single characters and ctrl-<character>
// (a letter or one of @ [ \ ] ^ _), separated by commas.
func parseKeys(text string) ([]byte, error) {
	var keys []byte
	for _, word := range strings.Split(text, ",") {
		key, err := parseKey(word)
		if err != nil {
			return nil, fmt.Errorf("detach keys %q: %w", text, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func parseKey(word string) (byte, error) {
	if len(word) == 1 {
		return word[0], nil
	}
	if rest, ok := strings.CutPrefix(word, "ctrl-"); ok && len(rest) == 1 {
		switch c := rest[0]; {
		case c >= 'a' && c <= 'z':
			return c - 'a' + 1, nil
		case c >= '@' && c <= '_': // the ASCII column whose control codes these are
			return c - '@', nil
		}
	}
	return 0, fmt.Errorf("%q is neither a character nor ctrl- and a character, such as ctrl-p", word)
}

// detachReader passes its source on until the keys come in one after the
// other; it then returns errDetached. A beginning that does not go on to the
// full sequence is passed on late, but complete.
type detachReader struct {
	source io.Reader
	keys   []byte
	seen   int    // how many of keys came in last
	ready  []byte // to be handed out before more is read
	err    error  // to be returned after ready
}

func (r *detachReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.ready) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		buffer := make([]byte, len(p))
		n, err := r.source.Read(buffer)
		r.err = err
		r.filter(buffer[:n])
		if err != nil && !errors.Is(r.err, errDetached) {
			r.ready = append(r.ready, r.keys[:r.seen]...)
			r.seen = 0
		}
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

func (r *detachReader) filter(input []byte) {
	for _, b := range input {
		if b == r.keys[r.seen] {
			if r.seen++; r.seen == len(r.keys) {
				r.err = errDetached
				return
			}
			continue
		}
		r.ready = append(r.ready, r.keys[:r.seen]...)
		r.seen = 0
		if b == r.keys[0] {
			r.seen = 1
			continue
		}
		r.ready = append(r.ready, b)
	}
}
