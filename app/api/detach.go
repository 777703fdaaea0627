package api

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// errDetached says that the client typed the keys that end its session.
var errDetached = errors.New("detached")

// defaultDetachKeys are ctrl-p, ctrl-q.
var defaultDetachKeys = []byte{16, 17}

// parseDetachKeys reads "ctrl-p,ctrl-q" or "a,b"; empty stands for the default.
func parseDetachKeys(s string) ([]byte, error) {
	if s == "" {
		return defaultDetachKeys, nil
	}
	var keys []byte
	for _, name := range strings.Split(s, ",") {
		c, ctrl := strings.CutPrefix(name, "ctrl-")
		switch {
		case len(c) != 1 || c[0] >= 0x80:
			return nil, invalid("invalid detach keys %q: use single characters and ctrl-a to ctrl-z, ctrl-@, ctrl-[, ctrl-\\, ctrl-], ctrl-^ or ctrl-_", s)
		case !ctrl:
			keys = append(keys, c[0])
		case c[0] >= 'a' && c[0] <= 'z' || strings.Contains(`@[\]^_`, c):
			keys = append(keys, c[0]&0x1f)
		default:
			return nil, invalid("invalid detach keys %q: there is no %q", s, name)
		}
	}
	return keys, nil
}

// detachReader reads a terminal's input up to the detach keys, which give
// errDetached. The beginning of the keys is held back until the next byte
// shows what it is.
type detachReader struct {
	r    io.Reader
	keys []byte
	held []byte // a beginning of keys
	out  []byte // ready to be read
	err  error  // once out is empty
}

func (d *detachReader) Read(p []byte) (int, error) {
	for len(d.out) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		n, err := d.r.Read(p)
		d.err = err
		for _, b := range p[:n] {
			d.held = append(d.held, b)
			if bytes.Equal(d.held, d.keys) {
				d.held, d.err = nil, errDetached
				break
			}
			for !bytes.HasPrefix(d.keys, d.held) {
				d.out, d.held = append(d.out, d.held[0]), d.held[1:]
			}
		}
		if d.err != nil {
			d.out, d.held = append(d.out, d.held...), nil
		}
	}
	n := copy(p, d.out)
	d.out = d.out[n:]
	return n, nil
}

// endReader calls ended when its reader gives an error, or its end.
type endReader struct {
	io.Reader
	ended func(error)
}

func (e endReader) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err != nil {
		e.ended(err)
	}
	return n, err
}
